"""The MLP probe: one hidden layer by stochastic gradient descent (Kolesnikov, Zhai, Beyer, CVPR 2019, section 4.5).

How much more than a linear layer finds in a representation says how much of it is there, and not linearly so.
"""

from collections.abc import Iterator
from itertools import product
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from vicreg.evaluation.classifiers.mlp import MLPClassifier, scores
from vicreg.evaluation.metrics import fit_scaler
from vicreg.evaluation.probe import Probe
from vicreg.evaluation.sgd import SGD
from vicreg.io.section import Count, NonNegative, Positive


class MLP(Probe):
    """The network fitted to all training features, with the rate and decay that did best on the part held out.

    Layers start as torch.nn.Linear's, uniform in +-1 / sqrt(inputs).
    """

    class Params(SGD):
        """hidden: numbers of its layer; lr, weight_decay: those to choose from, by held-out images."""

        hidden: Count = 1000
        lr: Annotated[list[Positive], Field(min_length=1)] = [0.03, 0.1]  # noqa: RUF012 (pydantic copies it)
        weight_decay: Annotated[list[NonNegative], Field(min_length=1)] = [1e-4, 1e-3]  # noqa: RUF012
        val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2  # share of the training images that chooses

    def fit(self, features, labels, *, num_classes, seed, device) -> Iterator[MLPClassifier]:
        """Raises ValueError where there is something to choose and a class has a single training image."""
        mean, scale = fit_scaler(features, self.params.standardize)
        arrays = ((features - mean) * scale, labels, mean, scale)
        x, y, *scaler = (torch.from_numpy(array).to(device) for array in arrays)
        rates = self.choose((x, y), num_classes, seed)
        self.chosen |= dict(zip(("lr", "weight_decay"), rates, strict=True))
        for layers in self.train((x, y), rates, num_classes, seed):
            yield MLPClassifier(*scaler, **layers)

    def choose(self, data: tuple[Tensor, Tensor], num_classes: int, seed: int) -> tuple[float, float]:
        """The rate and the weight decay with the highest accuracy on the part held out, of equals the first."""
        candidates = list(product(self.params.lr, self.params.weight_decay))
        if len(candidates) == 1:
            return candidates[0]
        from sklearn.model_selection import StratifiedShuffleSplit

        (x, y), labels = data, data[1].cpu().numpy()
        if (np.bincount(labels) == 1).any():
            raise ValueError(
                "a class has a single training image: raise the fraction `probe`, or give one rate and decay"
            )
        size = max(num_classes, round(self.params.val_fraction * len(labels)))
        splits = StratifiedShuffleSplit(1, test_size=size, random_state=seed).split(labels, labels)
        train, held_out = (torch.from_numpy(part).to(x.device) for part in next(iter(splits)))
        accuracies = {}
        for rates in candidates:
            *_, layers = self.train((x[train], y[train]), rates, num_classes, seed)
            with torch.no_grad():
                accuracies[rates] = float((scores(x[held_out], **layers).argmax(dim=1) == y[held_out]).float().mean())
        best = max(accuracies, key=lambda rates: accuracies[rates])
        self.val_top1 = accuracies[best]
        self.chosen["held_out_top1"] = {f"lr {lr}, decay {decay}": a for (lr, decay), a in accuracies.items()}
        return best

    def train(
        self, data: tuple[Tensor, Tensor], rates: tuple[float, float], num_classes: int, seed: int
    ) -> Iterator[dict[str, Tensor]]:
        """Train from the start, and yield the layers after each epoch."""
        generator, device = torch.Generator().manual_seed(seed), data[0].device
        layers = {}
        for n, shape in enumerate([(self.params.hidden, data[0].shape[1]), (num_classes, self.params.hidden)], start=1):
            bound = shape[1] ** -0.5
            for name, size in ((f"weight{n}", shape), (f"bias{n}", shape[:1])):
                start = (2 * torch.rand(size, generator=generator) - 1) * bound
                layers[name] = start.to(device).requires_grad_()
        for _ in self.params.train(list(layers.values()), lambda x: scores(x, **layers), data, rates, generator):
            yield layers
