"""What a method costs beside its encoder: images per second, and the share of a step that is its own.

Each method takes turns with its encoder alone: the same views, the same passes of images or patches through plain
backbones (with those of a teacher, without gradients), backward, and the optimizer's step of these. What a step takes
longer is the method's own: heads, loss, gathering, queue, bank, moving averages, Sinkhorn, split batch norm.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from bench import interleave, ratio, report
from bench.step import engine
from vicreg.augment.batch import Batch
from vicreg.engine import devices
from vicreg.engine.loader import Loader
from vicreg.engine.optimizers import build_optimizer
from vicreg.engine.train_state import TrainState
from vicreg.io import plugins
from vicreg.jobs import trainer
from vicreg.nn.backbone import Backbone
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.study import params, recipe
from vicreg.study.recipe import Recipe

Pass = tuple[Backbone, torch.Size, bool]  # what the images pass, their shape, and whether gradients flow


class EncoderAlone(Method):
    """The views of a method, and its passes through plain backbones."""

    def __init__(self, method: Method, row: Recipe, passes: list[Pass]):
        super().__init__(Encoder(row.build_backbone()), None, num_images=1)
        plain = {used: type(used)(used.params, channels=shape[1]) for used, shape, _ in passes}
        self.backbones = nn.ModuleList(plain.values())
        for used, _, gradients in passes:
            plain[used].requires_grad_(gradients)
        device = next(method.parameters()).device
        self.draw = method.inputs
        self.passes = [(plain[used], torch.rand(shape, device=device), gradients) for used, shape, gradients in passes]

    def inputs(self, batch: Batch) -> Any:
        return self.draw(batch)

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        losses = []
        for backbone, images, gradients in self.passes:
            x = images.contiguous(memory_format=torch.channels_last)
            if gradients:
                losses.append(backbone(x).float().square().mean())
            else:
                with torch.no_grad():
                    backbone(x)
        return {"loss": torch.stack(losses).sum()}


def passes_of(method: Method, step: Callable[[], int]) -> list[Pass]:
    """The passes through backbones in one step."""
    passes: list[Pass] = []

    def record(module: Any, args: tuple[Tensor, ...]) -> None:
        passes.append((module, args[0].shape, torch.is_grad_enabled()))

    backbones = [module for module in method.modules() if isinstance(module, Backbone)]
    handles = [backbone.register_forward_pre_hook(record) for backbone in backbones]
    step()
    for handle in handles:
        handle.remove()
    return passes


def alone(row: Recipe, pixels: np.ndarray, device: torch.device) -> Callable[[], int]:
    """Return a function that trains the encoder alone for an epoch."""
    positions = np.arange(len(pixels))
    state = trainer.build_state(row, pixels, positions, device)
    one_step = trainer.run(row, state, Loader(pixels[: row.batch_size], positions[: row.batch_size], device))
    passes = passes_of(state.method, lambda: len(next(one_step)))
    bare: Any = EncoderAlone(state.method, row, passes).to(device).to(memory_format=torch.channels_last)
    assert row.optimizer is not None
    optimizer = build_optimizer(bare, row.optimizer, row.batch_size)
    begun = TrainState(bare, optimizer, torch.Generator(device).manual_seed(0))
    epochs = trainer.run(row, begun, Loader(pixels, positions, device))

    def epoch() -> int:
        next(epochs)
        return len(pixels) // row.batch_size * row.batch_size

    return epoch


def rows(width: int, batch_size: int, epochs: int) -> list[Recipe]:
    """A recipe of each method that trains, in these sizes, with the policy `aug`."""
    p = params.load()
    changes = {"width": width, "projector_width": 512, "batch_size": batch_size, "epochs": epochs}
    sized = p.model_copy(update={"studies": {p.study: p.sizes.model_copy(update=changes)}, "policy": "aug"})
    names = [name for name in plugins.names("methods") if name in p.encoders]
    return sorted((recipe.resolve(sized, name) for name in names), key=lambda row: row.row != "vicreg")


def main(
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    rounds: int = 5,
    width: Annotated[int, typer.Option(help="Width of ResNet-18.")] = 16,
    batch_size: int = 256,
    batches: Annotated[int, typer.Option(help="Steps per round.")] = 4,
) -> None:
    """Compare all methods, VICReg first."""
    device = devices.choose_device("auto")
    pixels = np.random.default_rng(0).integers(0, 256, (batches * batch_size, 32, 32, 3), dtype=np.uint8)
    candidates: dict[str, Callable[[], int]] = {}
    for row in rows(width, batch_size, rounds + 2):
        candidates[row.row] = engine(row, pixels, device)
        candidates[f"{row.row}, encoder alone"] = alone(row, pixels, device)
    rates = interleave(candidates, rounds)
    methods = [name for name in rates if not name.endswith("alone")]
    own = {name: round(1 - ratio(rates[name], rates[f"{name}, encoder alone"]), 3) for name in methods}
    relative = {name: round(ratio(rates[name], rates["vicreg"]), 2) for name in methods}
    lines = [[name, str(rates[name]), f"{relative[name]:.2f}", f"{100 * own[name]:.1f}"] for name in methods]
    figures = {"n": rounds, "own_share": own, "ratio_vicreg": relative}
    headers = ["method", "images per second", "of VICReg's", "own share of the step, %"]
    report(f"Methods, width {width}, batch {batch_size}", headers, lines, figures, json)


if __name__ == "__main__":
    typer.run(main)
