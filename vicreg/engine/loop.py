"""The training loop: batch, inputs, forward, backward, step."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from vicreg.augment.batch import Batch
from vicreg.augment.policy import Policy
from vicreg.engine import collapse, ddp, distributed
from vicreg.engine.graphed_step import GraphedStep
from vicreg.engine.loader import Loader
from vicreg.engine.train_state import TrainState
from vicreg.nn.method import Method

HINT = "What usually helps: a lower `optimizer.base_lr`, a longer `schedule.warmup`, `precision: float32`."
NOT_TERMS = {
    "epoch",
    "lr",
    "images_per_second",
    "seconds",
    *collapse.INDICATORS,
    "max_rank",
}  # in a record, beside the scalars
OUT_OF_MEMORY = ("allocate memory", "out of memory", "ALLOC_FAILED")  # in errors that have no type of their own


class TrainingError(RuntimeError):
    """The training cannot go on: a term is not finite, the embeddings collapsed, or memory ran out."""


class CollapseError(TrainingError):
    """The embeddings collapsed."""


@dataclass(frozen=True)
class LoopConfig:
    """How to train.

    Attributes:
        epochs, batch_size: images per step are those of all processes together; what remains of an epoch is left out.
        policy: how views are drawn.
        schedule: factor of the optimizer's peak rate at each step, counted from 0.
        dtype: bfloat16 for autocast, or float32.
        compiled: whether `torch.compile` translates the method first, which takes a minute or more.
        title: of the progress bar, the name of the row; none without.
    """

    epochs: int
    batch_size: int
    policy: Policy
    schedule: Callable[[int], float]
    dtype: torch.dtype = torch.float32
    compiled: bool = False
    title: str = ""


def train(
    state: TrainState,
    loader: Loader,
    config: LoopConfig,
    after_step: Callable[[TrainState], None] = lambda state: None,
) -> Iterator[dict[str, float]]:
    """Train `state.method` in place; yield, after each epoch, the means of its scalars, collapse indicators and speed.

    after_step: called after each step and each epoch, when `state` may be saved.

    Raises ValueError for fewer images than a batch has or a batch that processes cannot share, TrainingError where a
    term became NaN or infinite, and CollapseError where the embeddings collapsed, after that epoch's record.
    """
    method, device, size = state.method, state.generator.device, config.batch_size
    steps, rows = len(loader) // size, distributed.local_rows(size)
    if not steps:
        raise ValueError(f"batch_size is {size}, but there are only {len(loader)} images: lower the batch size")
    torch.backends.cudnn.benchmark = True  # all batches have one shape: the fastest convolutions are looked for once
    module = ddp.wrap_ddp(method, device)
    forward = torch.compile(module, dynamic=False) if config.compiled else module  # for each size of views anew
    graphed = config.compiled and device.type == "cuda" and GraphedStep.helps(state.optimizer)
    optimizer_step = GraphedStep(state.optimizer) if graphed else partial(step_and_clear, state.optimizer)
    bar = progress_bar(config, steps, (state.epoch - 1) * steps + state.step)
    for epoch in range(state.epoch, config.epochs + 1):
        bar.set_description(f"{config.title}, epoch {epoch} of {config.epochs}")
        order = state.begin_epoch(len(loader), steps * size)
        method.train()
        for images, indices in loader.batches(order[state.step * size :], size, rows):
            step = (epoch - 1) * steps + state.step
            progress = step / (config.epochs * steps)
            compiled = config.compiled and device.type != "cpu"
            batch = Batch(images, indices, rows, size, config.policy, state.generator, compiled, progress)
            with torch.no_grad():
                inputs = method.inputs(batch)
            with autocast(device, config.dtype):
                outputs = forward(inputs)
            loss_of(outputs, method).backward()
            method.before_step(progress)
            lr = set_lr(state.optimizer, config.schedule(step))
            optimizer_step()
            names = [name for name, value in outputs.items() if value.ndim == 0]
            state.metrics.append(distributed.all_reduce_mean(torch.stack([outputs[name].detach() for name in names])))
            with torch.no_grad():
                method.after_step(outputs, progress)
            state.step += 1
            bar.update(size)
            if state.step < steps:
                after_step(state)
        record = epoch_means(state.metrics, names, epoch)
        if "embeddings" in outputs:
            z = distributed.gather(outputs["embeddings"].detach())
            record |= distributed.from_main_process(collapse.indicators(z, method.embedding_scale))
        bar.set_postfix(loss=f"{record['loss']:.4g}")  # of the epoch: to fetch that of each step would wait for a GPU
        seconds = state.elapsed()
        state.end_epoch()
        yield {"epoch": epoch, **record, "lr": lr, "images_per_second": steps * size / seconds, "seconds": seconds}
        check_collapse(record, epoch)
        after_step(state)
    bar.close()


def loss_of(outputs: Any, method: Method) -> Tensor:
    """The loss in what `forward` returned; raises TrainingError where there is none."""
    if not isinstance(outputs, dict) or "loss" not in outputs:
        got = f"a dictionary of {', '.join(map(str, outputs))}" if isinstance(outputs, dict) else type(outputs).__name__
        raise TrainingError(f"{type(method).__name__}.forward returned {got}; it must return one that has a `loss`")
    return outputs["loss"]


def progress_bar(config: LoopConfig, steps: int, done: int) -> tqdm:
    """A bar over the images of all epochs, in the main process where there is a terminal."""
    size, silent = config.batch_size, not (config.title and distributed.is_main_process())
    total, done = config.epochs * steps * size, done * size
    return tqdm(total=total, initial=done, unit="img", unit_scale=True, disable=silent or None)


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> float:
    """Set the rate of every group to its share of the peak, and return that of the first.

    A group whose `fixed_lr` is true keeps its peak.
    """
    rates = []
    for group in optimizer.param_groups:
        rates.append(group.setdefault("peak_lr", group["lr"]) * (1.0 if group.get("fixed_lr") else factor))
        if isinstance(group["lr"], Tensor):  # a CUDA graph reads it
            group["lr"].fill_(rates[-1])
        else:
            group["lr"] = rates[-1]
    return rates[0]


def step_and_clear(optimizer: torch.optim.Optimizer) -> None:
    """Step, and forget the gradients."""
    optimizer.step()
    optimizer.zero_grad()


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    """Return the context in which a forward pass computes in this precision."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def epoch_means(metrics: list[Tensor], names: list[str], epoch: int) -> dict[str, float]:
    """Means over an epoch's steps of the scalars (K,) of each step; raises TrainingError."""
    values = torch.stack(metrics).cpu()  # (steps, K)
    finite = values.isfinite()
    if not finite.all():
        step = int((~finite.all(dim=1)).nonzero()[0])
        wrong = ", ".join(name for name, good in zip(names, finite[step], strict=True) if not good)
        raise TrainingError(f"epoch {epoch}, step {step + 1} of {len(values)}: not finite: {wrong}.\n{HINT}")
    return dict(zip(names, values.mean(dim=0, dtype=torch.float64).tolist(), strict=True))


def check_collapse(record: dict[str, float], epoch: int) -> None:
    """Raise CollapseError where nothing is left of the embeddings' spread."""
    if record.get("embedding_std", 1.0) < collapse.MIN_STD:
        raise CollapseError(
            f"epoch {epoch}: the embeddings collapsed: their standard deviation is {record['embedding_std']:.1e}, "
            f"below {collapse.MIN_STD} (1 is even, 0 means that all are alike).\n"
            "What usually helps: a larger weight of the term that keeps embeddings apart, a lower `optimizer.base_lr`, "
            "a larger batch."
        )


def check_finite_weights(state: TrainState) -> None:
    """Raise TrainingError where a weight is not finite: no good checkpoint gives way to such a one."""
    if not all(bool(parameter.isfinite().all()) for parameter in state.method.parameters()):
        raise TrainingError(
            f"epoch {state.epoch}, step {state.step}: weights are not finite. The last good checkpoint is kept.\n{HINT}"
        )


@contextmanager
def reraise_oom(batch_size: int) -> Iterator[None]:
    """Let running out of memory say which batch was tried, and what helps."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not known and not any(words in str(error) for words in OUT_OF_MEMORY):
            raise
        raise TrainingError(
            f"memory ran out with batch_size = {batch_size} ({str(error).strip().splitlines()[0]}).\n"
            "What helps: a smaller `batch_size`, `projector_width` or `width`, or `data_placement: stream`."
        ) from error
