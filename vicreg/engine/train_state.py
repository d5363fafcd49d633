"""Everything that a training changes; its `state_dict` is a checkpoint from which it goes on bit for bit."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from vicreg.nn.method import Method


@dataclass
class TrainState:
    """Weights, optimizer, generators, and where in which epoch the training stands.

    Attributes:
        generator: the only source of the order of images and of their views, in the same state in every process.
        epoch, step: the epoch under way, from 1, and how many of its steps are done.
        seconds: that the epoch took so far, in earlier processes too.
        order: (steps * batch_size,) int64, the epoch's images, drawn when it begins.
        metrics: the scalars (K,) of each step of the epoch, means over all processes, so that any one's state is a
            checkpoint for all, and on the device, so that no step waits for a number.
    """

    method: Method
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    epoch: int = 1
    step: int = 0
    seconds: float = 0.0
    order: Tensor | None = None
    metrics: list[Tensor] = field(default_factory=list)
    since: float = field(default_factory=time.perf_counter)

    def begin_epoch(self, num_images: int, used: int) -> Tensor:
        """Draw the order of the epoch's images, unless it is under way; of `num_images` the first `used` take part."""
        self.since = time.perf_counter() - self.seconds
        if self.order is None:
            device = self.generator.device
            self.order = torch.randperm(num_images, generator=self.generator, device=device)[:used]
        return self.order

    def elapsed(self) -> float:
        """Seconds of the epoch so far."""
        return time.perf_counter() - self.since

    def end_epoch(self) -> None:
        """Go to the beginning of the next epoch."""
        self.epoch, self.step, self.seconds, self.order, self.metrics = self.epoch + 1, 0, 0.0, None, []

    def state_dict(self) -> dict[str, Any]:
        """Return all that a training needs to go on from here, as tensors and plain values."""
        state: dict[str, Any] = {
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "global_generator": torch.get_rng_state(),  # for layers that draw by themselves, as dropout does
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.elapsed() if self.step else 0.0,
            "order": self.order,
            "metrics": torch.stack(self.metrics) if self.metrics else torch.empty(0),
        }
        if self.generator.device.type == "cuda":
            state["cuda_generator"] = torch.cuda.get_rng_state(self.generator.device)
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint, or from a finished run's weights; raises ValueError where it does not fit."""
        try:
            self.method.load_state_dict(state["method"])
            if "optimizer" in state:  # a finished run has no more need of the rest
                self.optimizer.load_state_dict(state["optimizer"])
                self.generator.set_state(state["generator"])
                torch.set_rng_state(state["global_generator"])
            if "cuda_generator" in state:
                torch.cuda.set_rng_state(state["cuda_generator"], self.generator.device)
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"the checkpoint is of another architecture: {error}\nRemove its folder.") from error
        self.epoch, self.step = state["epoch"], state["step"]
        if self.step:
            device = self.generator.device
            self.seconds, self.order = state["seconds"], state["order"].to(device)
            self.metrics = list(state["metrics"].to(device))
