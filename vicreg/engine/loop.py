"""Pretraining: draw two views of each image of a batch, minimise the method's loss."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from vicreg.augment.views import Policy, two_views
from vicreg.engine import collapse, distributed, loader
from vicreg.jobs import run_store

HELPS = "What usually helps: a lower `optimizer.base_lr`, a longer `schedule.warmup`, `precision: float32`."
OUT_OF_MEMORY = (
    "allocate memory",
    "out of memory",
    "ALLOC_FAILED",
)  # in an error of no type of its own

State = Callable[[], dict[str, Any]]


class TrainingError(RuntimeError):
    """The training cannot go on: a term is not finite, the embeddings collapsed, or memory ran out."""


@dataclass
class Position:
    """Where a training stands: what changes beside weights, optimizer and generators."""

    epoch: int = 1
    step: int = 0  # steps of this epoch that are done
    seconds: float = 0.0  # that this epoch took so far
    order: Tensor | None = None  # (steps * batch_size,) int64, this epoch's images
    recorded: list[Tensor] = field(default_factory=list)  # (terms,) of each step; stays on the device, which then
    # need not wait at each step until a number is fetched


def pretrain(
    method: nn.Module,
    images: Tensor,
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], float],
    *,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
    compiled: bool = False,
    progress: bool = False,
    resumed: dict[str, Any] | None = None,
    offer: Callable[[State], None] = lambda state: None,
) -> Iterator[dict[str, float]]:
    """Train `method` in place and yield, after each epoch, the means of its terms, collapse indicators, rate and speed.

    Args:
        method: called with views (2N, 3, H, W), returns scalar terms, of which `loss` is minimised, and may return
            `embeddings` (2N, D), of which indicators of collapse are computed at the end of each epoch.
        images: (N, 3, H, W) uint8, on the device of `method` and `generator`, or in host memory (see `loader`).
        schedule: factor of the optimizer's rate at each step, counted from 0.
        batch_size: images per step, of all processes together; what remains of an epoch after whole ones is left out.
        generator: the only source of the order of images and of their views, in the same state in every process.
        dtype: bfloat16 for autocast, or float32.
        compiled: whether `torch.compile` translates the method first, which takes a minute or more.
        progress: whether to show a bar with the rate and the time left.
        resumed: a state to go on from, bit for bit on a CPU.
        offer: called after each step and each epoch with a function that returns the state.

    Raises:
        ValueError: fewer images than `batch_size`, or a batch that processes cannot share evenly.
        TrainingError: a term became NaN or infinite, the embeddings collapsed, or memory ran out; says what helps.
    """
    check_batches(len(images), batch_size)
    steps, device, mine = len(images) // batch_size, generator.device, distributed.share(batch_size)
    at = Position()
    if resumed is not None:
        run_store.restore(resumed, method, optimizer, generator)
        at = position(resumed, device)

    def state() -> dict[str, Any]:
        check_sound(method, at)
        return {**run_store.capture(method, optimizer, generator), **as_state(at, start)}

    module = distributed.wrapped(method, device)
    forward = torch.compile(module) if compiled else module
    bar = tqdm(
        total=epochs * steps * batch_size,
        initial=((at.epoch - 1) * steps + at.step) * batch_size,
        unit="img",
        unit_scale=True,
        disable=None if progress and distributed.leads() else True,
    )
    for epoch in range(at.epoch, epochs + 1):
        start = time.perf_counter() - at.seconds
        if at.order is None:
            at.order = torch.randperm(len(images), generator=generator, device=device)[: steps * batch_size]
        method.train()
        for batch in loader.batches(images, at.order[at.step * batch_size :], batch_size, device, mine):
            views = two_views(
                batch,
                policy,
                generator,
                of=batch_size,
                start=mine.start,
                compiled=compiled and device.type != "cpu",
            )
            with autocast(device, dtype):
                terms = forward(views)
            embeddings = terms.pop("embeddings", None)
            terms["loss"].backward()
            lr = set_rate(optimizer, schedule((epoch - 1) * steps + at.step))
            optimizer.step()
            optimizer.zero_grad()
            at.step += 1
            at.recorded.append(torch.stack([term.detach() for term in terms.values()]))
            bar.update(batch_size)
            if at.step < steps:
                offer(state)
        means = checked(torch.stack(at.recorded).cpu(), list(terms), epoch)
        found = {} if embeddings is None else collapse.indicators(embeddings)
        seconds = time.perf_counter() - start
        speed = steps * batch_size / seconds
        at = Position(epoch + 1)
        yield {"epoch": epoch, **means, **found, "lr": lr, "images_per_second": speed, "seconds": seconds}
        check_spread(found, means, epoch)
        offer(state)
    bar.close()


def check_batches(images: int, batch_size: int) -> None:
    if images < batch_size:
        raise ValueError(f"batch_size is {batch_size}, but there are only {images} images: lower the batch size")
    if batch_size % distributed.count():
        raise ValueError(
            f"a batch of {batch_size} images cannot be shared evenly by {distributed.count()} processes: "
            "choose a `batch_size` that is a multiple, or other `processes`"
        )


def position(state: dict[str, Any], device: torch.device) -> Position:
    """The position that `as_state` wrote."""
    if not state["step"]:
        return Position(state["epoch"])
    order, recorded = state["order"].to(device), list(state["recorded"].to(device))
    return Position(state["epoch"], state["step"], state["seconds"], order, recorded)


def as_state(at: Position, start: float) -> dict[str, Any]:
    recorded = torch.stack(at.recorded) if at.recorded else torch.empty(0)
    seconds = time.perf_counter() - start
    return {"epoch": at.epoch, "step": at.step, "seconds": seconds, "order": at.order, "recorded": recorded}


def set_rate(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set the rate of every group to its share of the peak, and return it."""
    for group in optimizer.param_groups:
        group["lr"] = group.setdefault("peak_lr", group["lr"]) * factor
    return float(optimizer.param_groups[0]["lr"])


@contextmanager
def explained_memory(batch_size: int) -> Iterator[None]:
    """Let running out of memory say which batch was tried, and what helps."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        said = any(words in str(error) for words in OUT_OF_MEMORY)
        ran_out = said or isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not ran_out:
            raise
        raise TrainingError(
            f"memory ran out with batch_size = {batch_size} ({str(error).strip().splitlines()[0]}).\n"
            "What helps: a smaller `studies.<study>.batch_size`, `projector_width` or `width`, or `memory: host`."
        ) from error


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def checked(recorded: Tensor, names: list[str], epoch: int) -> dict[str, float]:
    """Means over an epoch of the terms recorded at its steps (steps, terms); raises TrainingError."""
    finite = recorded.isfinite()
    if not finite.all():
        step = int((~finite.all(dim=1)).nonzero()[0])
        wrong = ", ".join(name for name, good in zip(names, finite[step], strict=True) if not good)
        raise TrainingError(f"epoch {epoch}, step {step + 1} of {len(recorded)}: not finite: {wrong}.\n{HELPS}")
    return dict(zip(names, recorded.mean(dim=0, dtype=torch.float64).tolist(), strict=True))


def check_spread(found: dict[str, float], means: dict[str, float], epoch: int) -> None:
    """Raise TrainingError where indicators of collapse say that nothing is left of the embeddings' spread."""
    if found.get("embedding_std", 1.0) < collapse.GONE:
        raise TrainingError(
            f"epoch {epoch}: the embeddings collapsed: their standard deviation is {found['embedding_std']:.1e}, below "
            f"{collapse.GONE}, with a variance term of {means.get('variance', float('nan')):.3f}.\n"
            "What usually helps: a larger `vicreg.variance`, a lower `optimizer.base_lr`, a larger batch."
        )


def check_sound(method: nn.Module, at: Position) -> None:
    """Raise TrainingError where a weight is not finite: no good checkpoint gives way to such a one."""
    if not all(bool(parameter.isfinite().all()) for parameter in method.parameters()):
        raise TrainingError(
            f"epoch {at.epoch}, step {at.step}: weights are not finite. The last good checkpoint is kept.\n{HELPS}"
        )
