"""A recipe becomes a method with its encoder, and a file of weights; and a file becomes them again."""

from pathlib import Path

import numpy as np
import torch

from vicreg.io import weights
from vicreg.io.description import RERUN_PRETRAIN as RERUN
from vicreg.io.description import encoder as describe  # also for others
from vicreg.nn.encoder import Encoder, channel_statistics
from vicreg.nn.method import Method
from vicreg.study.recipe import Recipe


def build_method(recipe: Recipe, pixels: np.ndarray, positions: np.ndarray) -> Method:
    """Return the method of a row, its weights drawn from the seed.

    pixels: (M, H, W, 3) uint8, of which those at `positions` (N,) pretrain: by their statistics the encoder normalizes.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw their weights from the global generator, and from no other
        torch.manual_seed(recipe.seed)
        encoder = Encoder(recipe.build_backbone(), *channel_statistics(pixels, positions))
        method = recipe.method_class()(encoder, recipe.method_params(), num_images=len(positions))
        method.initialize()
    return method


def save_method(path: Path, method: Method, recipe: Recipe) -> None:
    """Write the encoder and what else the method keeps, with the recipe as description."""
    parts = {name: module for name in ("encoder", *method.kept) if (module := getattr(method, name)) is not None}
    weights.save(path, parts, recipe.values())


def load_method(path: Path) -> Method:
    """Return the method in the file at `path`, in evaluation mode, its encoder and what it kept bit for bit as saved.

    What the file does not hold of it, as one of the encoder alone, is None. Raises ValueError for any other file, and
    for damaged weights.
    """
    description = describe(path)
    digests = description.pop("digest", {})
    try:
        recipe = Recipe.model_validate(description)
        with torch.random.fork_rng(devices=[]):
            method = recipe.method_class()(Encoder(recipe.build_backbone()), recipe.method_params(), num_images=1)
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError(f"{path} describes no encoder that can be built ({error}): {RERUN}") from error
    for name in method.kept:
        if name not in digests:
            setattr(method, name, None)
    return weights.load_parts(method.eval(), path, digests, RERUN)


def load_encoder(path: Path) -> Encoder:
    """Return what of the method in the file at `path` is judged; raises as `load_method` does."""
    return load_method(path).representation.eval()
