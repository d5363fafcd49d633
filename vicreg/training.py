"""Pretraining: draw two views of each image of a batch, minimise the method's loss."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from tqdm import tqdm

from vicreg import feed
from vicreg.views import Policy, two_views

COLLAPSED = 0.01  # mean standard deviation of the embedding's dimensions; VICReg asks for 1


class TrainingError(RuntimeError):
    """The training cannot go on: a term is not finite, or the embeddings collapsed."""


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
) -> Iterator[dict[str, float]]:
    """Train `method` in place and yield, after each epoch, the means of its terms, the rate and the speed.

    Args:
        method: called with views (2N, 3, H, W), returns scalar terms, of which `loss` is minimised.
        images: (N, 3, H, W) uint8, on the device of `method` and `generator`, or in host memory (see `vicreg.feed`).
        schedule: factor of the optimizer's rate at each step, counted from 0.
        batch_size: images per step; what remains of an epoch after whole batches is left out of that epoch.
        generator: the only source of the order of images and of their views.
        dtype: bfloat16 for autocast, or float32.
        compiled: whether `torch.compile` translates the method first, which takes a minute or more.
        progress: whether to show a bar with the rate and the time left.

    Raises:
        ValueError: fewer images than `batch_size`.
        TrainingError: a term became NaN or infinite, or the embeddings collapsed; says which, when, what helps.
    """
    if len(images) < batch_size:
        raise ValueError(f"batch_size is {batch_size}, but there are only {len(images)} images: lower the batch size")
    steps, device = len(images) // batch_size, generator.device
    forward = torch.compile(method) if compiled else method
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    bar = tqdm(total=epochs * steps * batch_size, unit="img", unit_scale=True, disable=None if progress else True)
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        order = torch.randperm(len(images), generator=generator, device=device)[: steps * batch_size]
        recorded: list[Tensor] = []  # stays on the device: fetching it at each step would make the device wait
        method.train()
        for batch in feed.batches(images, order, batch_size, device):
            views = two_views(batch, policy, generator, compiled=compiled and device.type != "cpu")
            with autocast(device, dtype):
                terms = forward(views)
            terms["loss"].backward()
            optimizer.step()
            lr = float(rate.get_last_lr()[0])
            rate.step()
            optimizer.zero_grad()
            recorded.append(torch.stack([term.detach() for term in terms.values()]))
            bar.update(batch_size)
        means = checked(torch.stack(recorded).cpu(), list(terms), epoch)
        seconds = time.perf_counter() - start
        speed = steps * batch_size / seconds
        yield {"epoch": epoch, **means, "lr": lr, "images_per_second": speed, "seconds": seconds}
    bar.close()


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager:
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def checked(recorded: Tensor, names: list[str], epoch: int) -> dict[str, float]:
    """Means over an epoch of the terms recorded at its steps (steps, terms); raises TrainingError."""
    finite = recorded.isfinite()
    if not finite.all():
        step = int((~finite.all(dim=1)).nonzero()[0])
        wrong = ", ".join(name for name, good in zip(names, finite[step], strict=True) if not good)
        raise TrainingError(
            f"epoch {epoch}, step {step + 1} of {len(recorded)}: not finite: {wrong}.\n"
            "What usually helps: a lower `optimizer.base_lr`, a longer `schedule.warmup`, `precision: float32`."
        )
    means = dict(zip(names, recorded.mean(dim=0, dtype=torch.float64).tolist(), strict=True))
    spread = float(recorded[-1, names.index("embedding_std")]) if "embedding_std" in names else 1.0
    if spread < COLLAPSED:
        raise TrainingError(
            f"epoch {epoch}: the embeddings collapsed: their standard deviation is {spread:.1e}, below {COLLAPSED}, "
            f"with a variance term of {means.get('variance', float('nan')):.3f}.\n"
            "What usually helps: a larger `vicreg.variance`, a lower `optimizer.base_lr`, a larger batch."
        )
    return means
