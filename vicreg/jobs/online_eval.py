"""Online evaluation: a linear probe while the encoder still learns, on images that are not the test ones."""

import numpy as np
import torch
from torch import nn

from vicreg.data.images import Images
from vicreg.evaluation.metrics import accuracies
from vicreg.evaluation.probes.linear import Linear, Params
from vicreg.nn.encoder import extract_features

MAX_IMAGES = 5000  # so that an evaluation costs seconds
TRAIN_SHARE = 0.8  # of them trains the probe; the rest tests it


def evaluate(encoder: nn.Module, images: Images, seed: int, device: torch.device) -> dict[str, float]:
    """Top-1 and top-5 of a linear probe on a part of `images`, those that train the probes of the tables.

    None of the images that test the tables' probes takes part, so the curve may be looked at while tuning.
    """
    chosen = np.random.default_rng(seed).permutation(len(images))[:MAX_IMAGES]
    count, labels = round(TRAIN_SHARE * len(chosen)), images.labels[chosen]
    features = extract_features(encoder, images.pixels[chosen], device)
    probe = Linear(Params())
    num_classes = len(images.classes)
    *_, last = probe.fit(features[:count], labels[:count], num_classes=num_classes, seed=seed, device=device)
    return accuracies(last.predict(features[count:], device), labels[count:])
