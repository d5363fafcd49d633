"""Online evaluation: a linear probe while the encoder still learns, on images that are not the test ones."""

import numpy as np
import torch
from torch import nn

from vicreg.data.images import Images
from vicreg.evaluation.metrics import accuracies
from vicreg.evaluation.probes.linear import Linear, LinearParams
from vicreg.nn.encoder import extract_features

MOST_IMAGES = 5000  # so that a look costs seconds
TRAINED = 0.8  # share of them that trains the probe; the rest tests it


def evaluate(encoder: nn.Module, images: Images, seed: int, device: torch.device) -> dict[str, float]:
    """Top-1 and top-5 of a linear probe on a part of `images`, those that train the probes of the tables.

    None of the images that test the tables' probes takes part, so the curve may be looked at while tuning.
    """
    looked_at = np.random.default_rng(seed).permutation(len(images))[:MOST_IMAGES]
    trained = round(TRAINED * len(looked_at))
    features, labels = extract_features(encoder, images.pixels[looked_at], device), images.labels[looked_at]
    fit = Linear(LinearParams()).fit
    *_, classifier = fit(
        features[:trained], labels[:trained], num_classes=len(images.classes), seed=seed, device=device
    )
    return accuracies(classifier.predict(features[trained:], device), labels[trained:])
