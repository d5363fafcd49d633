"""By depth: what a probe finds after each stage of a backbone, beside what it finds in the representation.

As Kolesnikov, Zhai, Beyer, CVPR 2019, who pool by maximum; here maps are averaged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from vicreg.evaluation.evaluate import evaluate_probe
from vicreg.evaluation.features import FeatureSet
from vicreg.nn.encoder import Encoder, extract_features

TIMES = 8  # as many numbers of a stage, at most, as this many representations have


def pool(maps: Tensor, size: int) -> Tensor:
    """Maps (N, C, H, W) as (N, C * h * w), averaged to a grid of at most `size` numbers.

    Height and width are halved in turn, the height first, until they are few enough: at 32 x 32 pixels the stages of a
    ResNet-18 of width w have 8 x 8, 4 x 8, 4 x 4 and 2 x 4 cells (height x width), 64 w numbers each.
    """
    channels, cells, axis = maps.shape[1], list(maps.shape[2:]), 0
    while channels * cells[0] * cells[1] > size and max(cells) > 1:
        cells[axis] = max(1, cells[axis] // 2)
        axis = 1 - axis
    return adaptive_avg_pool2d(maps, (cells[0], cells[1])).flatten(1)


class Stages(nn.Module):
    """Images (N, 3, H, W) -> all stages' maps, each by `pool`, one after the other in one row (N, sum of `sizes`)."""

    def __init__(self, encoder: Encoder):
        super().__init__()
        self.encoder = encoder
        self.sizes: list[int] = []  # of each stage, once images have passed

    def forward(self, images: Tensor) -> Tensor:
        x = images.float() / 255 if images.dtype == torch.uint8 else images
        maps = self.encoder.backbone.stages(self.encoder.normalize(x))  # type: ignore[operator]
        pooled = [pool(each, TIMES * self.encoder.num_features) for each in maps]
        self.sizes = [each.shape[1] for each in pooled]
        return torch.cat(pooled, dim=1)


def stage_features(
    encoder: Encoder, pixels: np.ndarray, device: torch.device, subsets: Sequence[np.ndarray]
) -> list[list[np.ndarray]]:
    """The features (N, D) float32 after each stage, first to last, of the images at each of `subsets` of positions.

    Returns a list with an entry for each stage, which has one for each subset; an empty list where there are no stages.
    """
    stages = Stages(encoder)
    if not encoder.backbone.stages(torch.zeros(1, 3, *pixels.shape[1:3])):  # type: ignore[operator]
        return []
    rows = [extract_features(stages, pixels, device, positions=positions) for positions in subsets]
    cuts = np.cumsum(stages.sizes)[:-1]
    return [list(parts) for parts in zip(*(np.split(each, cuts, axis=1) for each in rows), strict=True)]


def evaluate(
    stages: Sequence[Sequence[np.ndarray]],
    features: FeatureSet,
    probe: Mapping[str, Any],
    *,
    seed: int,
    device: torch.device,
) -> list[dict[str, Any]]:
    """The linear probe, with these parameters, after each stage and on the representation; [] without stages.

    stages: as `stage_features` returns them.
    """
    if not stages:
        return []
    names, results = [*(f"stage {n}" for n in range(1, len(stages) + 1)), "representation"], []
    for name, (train, test) in zip(names, [*stages, (features.train, features.test)], strict=True):
        result, _ = evaluate_probe("linear", probe, replace(features, train=train, test=test), seed=seed, device=device)
        kept = ("top1", "top1_low", "top1_high", "top5", "val_top1", "seconds")
        results.append({"stage": name, "numbers": train.shape[1], **{key: result[key] for key in kept}})
    return results
