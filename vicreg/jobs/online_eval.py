"""Online evaluation: a linear probe while the encoder still learns, on images that are not the test ones.

And, of a method with a pretext task, how often it solves it in the end.
"""

import numpy as np
import torch
from torch import nn

from vicreg.augment.batch import Batch
from vicreg.augment.policy import Policy
from vicreg.data.images import Images
from vicreg.engine import distributed
from vicreg.engine.loader import Loader
from vicreg.evaluation.metrics import accuracies
from vicreg.evaluation.probes.linear import Linear
from vicreg.nn.encoder import extract_features
from vicreg.nn.method import Method

MAX_IMAGES = 5000  # so that an evaluation costs seconds
TRAIN_SHARE = 0.8  # of them trains the probe; the rest tests it
PRETEXT_IMAGES = 1000


def evaluate(encoder: nn.Module, images: Images, seed: int, device: torch.device) -> dict[str, float]:
    """Top-1 and top-5 of a linear probe on a part of `images`, those that train the probes of the tables.

    None of the images that test the tables' probes takes part, so the curve may be looked at while tuning.
    """
    chosen = np.random.default_rng(seed).permutation(len(images))[:MAX_IMAGES]
    count, labels = round(TRAIN_SHARE * len(chosen)), images.labels[chosen]
    features = extract_features(encoder, images.pixels[chosen], device)
    probe = Linear(Linear.Params())
    num_classes = len(images.classes)
    *_, last = probe.fit(features[:count], labels[:count], num_classes=num_classes, seed=seed, device=device)
    return accuracies(last.predict(features[count:], device), labels[count:])


@torch.no_grad()
def pretext_accuracy(
    method: Method, images: Images, positions: np.ndarray, policy: Policy, batch_size: int, generator: torch.Generator
) -> float | None:
    """How often the method solves its own task, in evaluation mode; None for one that has none, or too few images.

    positions: of the images that are asked, the first PRETEXT_IMAGES in whole batches, which processes share as in
    training. A method that remembers images knows them by their place in `positions`.
    """
    method.eval()
    loader = Loader(images.pixels, positions[:PRETEXT_IMAGES], generator.device, "device")
    order = torch.arange(len(loader) // batch_size * batch_size, device=generator.device)
    rows, scores = distributed.local_rows(batch_size), []
    for pixels, indices in loader.batches(order, batch_size, rows) if len(order) else ():
        outputs = method(method.inputs(Batch(pixels, indices, rows, batch_size, policy, generator)))
        if "accuracy" not in outputs:
            return None
        scores.append(outputs["accuracy"])
    return float(distributed.all_reduce_mean(torch.stack(scores).mean())) if scores else None
