"""Image pairs per second of pretraining: our engine against the standard loop, on the same model, batch and data.

The standard loop is what people write: torchvision's transforms on PIL images in a DataLoader's workers (their best
number), one forward pass per view, the recipe's optimizer and schedule, in float32 and under autocast.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch.utils.data import DataLoader, Dataset

from bench import interleave, ratio, report
from bench.views import pipeline
from vicreg.augment.policy import Policy
from vicreg.augment.views import make_views
from vicreg.engine import devices, loop
from vicreg.engine.loader import Loader
from vicreg.engine.optimizers import build_optimizer, build_schedule
from vicreg.jobs import trainer
from vicreg.methods import simclr, vicreg
from vicreg.study import builders, params, recipe
from vicreg.study.recipe import Recipe

LOSSES: dict[str, Callable] = {  # of the embeddings of two views, for the standard loop
    "vicreg": lambda z, params: vicreg.objective(z, params)["loss"],
    "simclr": lambda z, params: simclr.nt_xent(z[0], z[1], params.temperature),
}


class Pairs(Dataset):
    """Two views of each image (N, 32, 32, 3) uint8, drawn one image at a time; all workers see their `size`, pixels."""

    def __init__(self, pixels: np.ndarray, policy: Policy):
        self.pixels, self.size = pixels, torch.tensor(32).share_memory_()
        sizes = {32, *(size for _, size in policy.sizes)}
        self.views = {size: [pipeline(policy, view, "pil", size) for view in (0, 1)] for size in sizes}

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        from PIL import Image

        image = Image.fromarray(self.pixels[index])
        first, second = self.views[int(self.size)]
        return first(image), second(image)


def standard(row: Recipe, pixels: np.ndarray, device: torch.device, workers: int, dtype: torch.dtype) -> Callable:
    """Return a function that trains one epoch in the standard loop and returns how many pairs that was.

    Its attribute `encoder` is what learns. Where the recipe's views grow, they do at the beginning of an epoch.
    """
    assert row.optimizer and row.schedule
    data, policy, loss_of = Pairs(pixels, row.view_policy()), row.view_policy(), LOSSES[row.method["name"]]
    method: Any = builders.build_method(row, pixels, np.arange(len(pixels))).to(device)
    optimizer = build_optimizer(method, row.optimizer, row.batch_size)
    factor = build_schedule(row.schedule, len(pixels) // row.batch_size, row.epochs)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    loader: DataLoader = DataLoader(
        data,
        row.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device.type == "cuda",
    )

    def epoch() -> int:
        method.train()
        data.size.fill_(policy.size_at(scheduler.last_epoch / (len(loader) * row.epochs)) or 32)
        for first, second in loader:
            with loop.autocast(device, dtype):
                z = [method.projector(method.encoder(x.to(device, non_blocking=True))) for x in (first, second)]
            loss = loss_of(z, method.params)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
        loss.item()  # waits for the device
        return len(loader) * row.batch_size

    epoch.encoder = method.encoder  # type: ignore[attr-defined]
    return epoch


def engine(row: Recipe, pixels: np.ndarray, device: torch.device) -> Callable:
    """Return a function that trains one epoch in ours; its attribute `encoder` is what learns."""
    positions, size = np.arange(len(pixels)), row.batch_size
    state = trainer.build_state(row, pixels, positions, device)
    epochs = trainer.run(row, state, Loader(pixels, positions, device))

    def epoch() -> int:
        next(epochs)
        return len(pixels) // size * size

    epoch.encoder = state.method.encoder  # type: ignore[attr-defined]
    return epoch


def views_only(row: Recipe, pixels: np.ndarray, device: torch.device) -> Callable:
    images = torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).contiguous()
    generator, policy = torch.Generator(device).manual_seed(0), row.view_policy()

    def epoch() -> int:
        for batch in images.split(row.batch_size):
            views = make_views(batch, policy, generator)
        views.sum().item()
        return len(images)

    return epoch


def sized(width: int, batch_size: int, epochs: int) -> Recipe:
    """The recipe of `cifar_aug` in these sizes."""
    p = params.load()
    changes = {"width": width, "projector_width": 512, "batch_size": batch_size, "epochs": epochs}
    sizes = p.sizes.model_copy(update=changes)
    return recipe.resolve(p.model_copy(update={"studies": {p.study: sizes}}), "cifar_aug")


def main(
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    rounds: int = 5,
    widths: Annotated[str, typer.Option(help="Widths of ResNet-18, with commas between.")] = "8,16",
    batch_size: int = 256,
    batches: Annotated[int, typer.Option(help="Steps per round.")] = 8,
    workers: Annotated[str, typer.Option(help="Numbers of workers to try for the standard loop.")] = "0,1,2",
) -> None:
    """Compare pairs per second, and tell which share of our time draws views."""
    device = devices.choose_device("auto")
    pixels = np.random.default_rng(0).integers(0, 256, (batches * batch_size, 32, 32, 3), dtype=np.uint8)
    rows, ratios, shares, all_rounds = [], {}, {}, {}
    for width in map(int, widths.split(",")):
        row = sized(width, batch_size, rounds + 1)
        candidates = {"ours": engine(row, pixels, device), "views alone": views_only(row, pixels, device)}
        for dtype in (torch.float32, torch.bfloat16):
            for count in map(int, workers.split(",")):
                name = f"standard, {str(dtype).removeprefix('torch.')}, {count} workers"
                candidates[name] = standard(row, pixels, device, count, dtype)
        rates = interleave(candidates, rounds)
        best = max((name for name in rates if name.startswith("standard")), key=lambda name: rates[name].median)
        ratios[str(width)] = round(ratio(rates["ours"], rates[best]), 2)
        shares[str(width)] = round(ratio(rates["ours"], rates["views alone"]), 3)
        rows += [[str(width), name + (" (best)" if name == best else ""), str(rate)] for name, rate in rates.items()]
        all_rounds[str(width)] = {name: [round(pairs) for pairs in rate.rounds] for name, rate in rates.items()}
    figures = {"n": rounds, "ratio_standard_loop": ratios, "views_share": shares, "rounds": all_rounds}
    report(f"Pretraining, batch {batch_size}", ["width", "loop", "image pairs per second"], rows, figures, json)


if __name__ == "__main__":
    typer.run(main)
