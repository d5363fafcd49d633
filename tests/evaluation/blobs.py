"""Made-up features."""

import numpy as np

from vicreg.evaluation.features import FeatureSet


def blobs(count: int = 400, classes: int = 4, noise: float = 1.0, dimensions: int = 12) -> FeatureSet:
    """Clusters, with as many training as test images."""
    random = np.random.default_rng(0)
    centers = random.normal(size=(classes, dimensions))
    labels = np.arange(count, dtype=np.int64) % classes
    train, test = ((centers[labels] + noise * random.normal(size=(count, dimensions))).astype("float32") for _ in "ab")
    description = {"digest": {"encoder": "ab" * 32}}
    return FeatureSet(train, labels, test, labels.copy(), tuple("abcdefgh"[:classes]), "blobs", description=description)
