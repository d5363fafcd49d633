"""Encoders and probes in files as the stages write them, of a recipe that is written out here."""

from pathlib import Path
from typing import Any

import tiny
import torch

from vicreg.evaluation import probe_files
from vicreg.evaluation.classifiers.linear import LinearClassifier
from vicreg.io import weights
from vicreg.nn.encoder import Encoder
from vicreg.study.recipe import Recipe

SIZE = 24  # pixels; not CIFAR's
RECIPE: dict[str, Any] = {
    "study": "s",
    "row": "x",
    "seed": 0,
    "method": {"name": "random_init"},
    "backbone": {"name": "resnet", "width": 2, "stem": "cifar"},
    "data": {"primary": "cifar10", "protocol": "report", "fractions": {"probe": 1.0}, "image_size": SIZE},
    "code": "c0de" * 16,
}
TRAINED = RECIPE | {
    "method": {"name": "vicreg", "invariance": 25.0},
    "policy": {"name": "aug", "scale_min": 0.2},
    "optimizer": {"name": "lars", "base_lr": 0.3},
    "epochs": 30,
}
PIXELS = tiny.pixels(100, SIZE)
STATISTICS = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))


def save_encoder(path: Path, recipe: dict[str, Any] = RECIPE, seed: int = 0, **backbone: Any) -> Encoder:
    """Write an encoder whose batch norm has seen images, as after a training; return it in evaluation mode."""
    recipe = recipe | {"backbone": recipe["backbone"] | backbone}
    built = RECIPE | {"backbone": recipe["backbone"]}
    torch.manual_seed(seed)
    encoder = Encoder(Recipe.model_validate(built).build_backbone(), *STATISTICS)
    encoder(torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    weights.save(path, {"encoder": encoder}, recipe)
    return encoder.eval()


def save_probe(path: Path, encoder: Encoder, top1: float, val_top1: float, classes: int) -> LinearClassifier:
    """Write a random linear classifier, and what its evaluation may have said of it."""
    size = encoder.num_features
    scale, weight, bias = torch.rand(size) + 0.5, torch.randn(classes, size), torch.randn(classes)
    probe = LinearClassifier(torch.rand(size), scale, weight, bias)
    scores = {"top1": {"primary": {"linear": top1}}, "val_top1": {"primary": {"linear": val_top1}}}
    about = {"encoder": "cifar_aug", "weights": weights.digest(encoder), **scores}
    probe_files.save(path, {("primary", "linear"): probe}, about)
    return probe
