"""A probe at chance is tried on features that are easy to separate: is it at fault, or what the encoder gives?"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vicreg.evaluation.features import FeatureSet

MAX_TRAIN, NUM_TEST = 5000, 2000  # synthetic images: enough to be sure, in seconds
NOISE = 0.1  # standard deviation around centers whose coordinates have 1


def separable_features(shape: tuple[int, ...], num_classes: int, seed: int) -> FeatureSet:
    """Synthetic features of this shape (N, D), of at most 5,000 images to train on: far centers, little noise."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(num_classes, shape[1]))
    labels = [np.arange(n, dtype=np.int64) % num_classes for n in (min(shape[0], MAX_TRAIN), NUM_TEST)]
    train, test = ((centers[y] + NOISE * random.normal(size=(len(y), shape[1]))).astype("float32") for y in labels)
    return FeatureSet(train, labels[0], test, labels[1], classes=tuple(map(str, range(num_classes))))


def warning(probe: str, result: Mapping[str, Any], num_classes: int) -> str:
    """What to say of a probe whose `at_chance` is true."""
    return (
        f"warning: {probe}: top-1 {result['top1']:.1%} (95 % interval {result['top1_low']:.1%} to "
        f"{result['top1_high']:.1%}) cannot be told from chance, {1 / num_classes:.1%}. The probe separates synthetic "
        "features, so it works: what the encoder gives says nothing about these classes that so many test images show."
    )
