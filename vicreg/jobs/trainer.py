"""From a recipe to the training loop: method, optimizer, schedule, loader and precision, as the recipe says."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from vicreg.engine import devices, loop
from vicreg.engine.loader import Loader
from vicreg.engine.loop import LoopConfig
from vicreg.engine.optimizers import build_optimizer, build_schedule
from vicreg.engine.train_state import TrainState
from vicreg.study.builders import build_method
from vicreg.study.recipe import Recipe


def build_state(recipe: Recipe, pixels: np.ndarray, positions: np.ndarray, device: torch.device) -> TrainState:
    """Return the state before the first step; pixels, positions: see `build_method`."""
    assert recipe.optimizer is not None  # as in every recipe that trains
    method: Any = build_method(recipe, pixels, positions).to(device).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(method, recipe.optimizer, recipe.batch_size)
    return TrainState(method, optimizer, torch.Generator(device).manual_seed(recipe.seed))


def computed_with(recipe: Recipe, device: torch.device, num_images: int) -> dict[str, Any]:
    """What the recipe leaves to the machine, and shapes the last bits: device, precision, compilation."""
    steps = num_images // recipe.batch_size * recipe.epochs
    return {
        "device": device.type,
        "dtype": str(devices.choose_dtype(recipe.precision, device)),
        "compiled": devices.choose_compile(recipe.compile, device, steps),
        "torch": torch.__version__,
    }


def run(
    recipe: Recipe, state: TrainState, loader: Loader, after_step: Callable[[TrainState], None] = lambda state: None
) -> Iterator[dict[str, float]]:
    """Train; yields and raises what `vicreg.engine.loop.train` does."""
    assert recipe.schedule is not None
    device = state.generator.device
    config = LoopConfig(
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        policy=recipe.view_policy(),
        schedule=build_schedule(recipe.schedule, len(loader) // recipe.batch_size, recipe.epochs),
        dtype=devices.choose_dtype(recipe.precision, device),
        compiled=computed_with(recipe, device, len(loader))["compiled"],
        title=recipe.row,
    )
    return loop.train(state, loader, config, after_step)
