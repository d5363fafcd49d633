"""The logistic probe: scikit-learn's regression to its optimum, with C chosen on a part of the training features."""

import warnings
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from vicreg.evaluation.classifiers.linear import LinearClassifier
from vicreg.evaluation.metrics import fit_scaler
from vicreg.evaluation.probe import Probe
from vicreg.io.section import Count, Positive, Section


class Params(Section):
    """C: the inverse strengths of the regularization to choose from. val_fraction: share of images that decides."""

    C: Annotated[list[Positive], Field(min_length=1)] = [0.001, 0.01, 0.1, 1.0]  # noqa: RUF012 (pydantic copies it)
    val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    max_iter: Count = 300
    standardize: bool = True


class Logistic(Probe):
    """The regression fitted to all training features, on the CPU, with the C that did best on the part held out.

    Whether the fit ended before `max_iter` is in `chosen`. A class without training images gets the probability 0.
    """

    Params = Params

    def fit(self, features, labels, *, num_classes, seed, device) -> Iterator[LinearClassifier]:
        """Raises ValueError where C is to be chosen and a class has a single training image."""
        mean, scale = fit_scaler(features, self.params.standardize)
        features = (features - mean) * scale
        self.chosen = {"C": self.params.C[0]}
        if len(self.params.C) > 1:
            self.choose(features, labels, num_classes, seed)
        model = self.regression(features, labels, self.chosen["C"])
        self.chosen["converged"] = bool(model.n_iter_.max() < self.params.max_iter)
        weight, bias = np.zeros((num_classes, len(mean)), mean.dtype), np.full(num_classes, -np.inf, mean.dtype)
        if len(model.classes_) == 2:  # scikit-learn keeps one row then: the score of the second class, the first has 0
            weight[model.classes_[1]], bias[model.classes_] = model.coef_[0], [0, model.intercept_[0]]
        else:
            weight[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
        yield LinearClassifier(*map(torch.from_numpy, (mean, scale, weight, bias))).to(device)

    def choose(self, features: np.ndarray, labels: np.ndarray, num_classes: int, seed: int) -> None:
        from sklearn.model_selection import train_test_split

        if single := int((np.bincount(labels) == 1).sum()):
            raise ValueError(
                f"the probe logistic holds out a part of each class to choose C, but {single} classes have a single "
                "training image: raise the fraction `probe`, or name one value in `probes.logistic.C`"
            )
        size, trials = max(num_classes, round(self.params.val_fraction * len(labels))), {}
        fit, val = train_test_split(np.arange(len(labels)), test_size=size, stratify=labels, random_state=seed)
        for C in self.params.C:
            trials[str(C)] = float(self.regression(features[fit], labels[fit], C).score(features[val], labels[val]))
        self.val_top1 = max(trials.values())
        self.chosen = {"C": max(self.params.C, key=lambda C: trials[str(C)]), "held_out_top1": trials}

    def regression(self, features: np.ndarray, labels: np.ndarray, C: float) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        with warnings.catch_warnings():  # told as `converged` instead
            warnings.simplefilter("ignore", ConvergenceWarning)
            return LogisticRegression(C=C, max_iter=self.params.max_iter).fit(features, labels)
