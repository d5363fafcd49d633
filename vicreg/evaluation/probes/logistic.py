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


class Logistic(Probe):
    """The regression fitted to all training features, on the CPU, with the C that did best on the part held out.

    Whether the fit ended before `max_iter` is in `chosen`. A class without training images gets the probability 0.
    """

    class Params(Section):
        """C: inverse strengths of the regularization to choose from, by held-out images or folds."""

        C: Annotated[list[Positive], Field(min_length=1)] = [0.001, 0.01, 0.1, 1.0]  # noqa: RUF012 (pydantic copies it)
        val_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2  # share of the training images that chooses C
        folds: Count = 1  # 2 or more: all of them choose it by cross-validation, for few images
        max_iter: Count = 300
        standardize: bool = True

    def fit(self, features, labels, *, num_classes, seed, device) -> Iterator[LinearClassifier]:
        """Raises ValueError where C is to be chosen and a class has a single training image."""
        from sklearn.exceptions import ConvergenceWarning

        mean, scale = fit_scaler(features, self.params.standardize)
        with warnings.catch_warnings():  # of a fit that does not converge, which `converged` says
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = self.regression((features - mean) * scale, labels, num_classes, seed)
        self.chosen |= {"C": model.C, "converged": bool(model.n_iter_.max() < self.params.max_iter)}
        weight, bias = np.zeros((num_classes, len(mean)), mean.dtype), np.full(num_classes, -np.inf, mean.dtype)
        bias[model.classes_] = 0
        classes = model.classes_[
            -len(model.coef_) :
        ]  # of two scikit-learn keeps the score of the second, the first has 0
        weight[classes], bias[classes] = model.coef_, model.intercept_
        yield LinearClassifier(*map(torch.from_numpy, (mean, scale, weight, bias))).to(device)

    def regression(self, features: np.ndarray, labels: np.ndarray, num_classes: int, seed: int) -> Any:
        """Return scikit-learn's regression on standardized features (N, D), `C` chosen by held-out images or folds."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import GridSearchCV, StratifiedKFold, StratifiedShuffleSplit

        C, model = self.params.C, LogisticRegression(max_iter=self.params.max_iter)
        if len(C) == 1:
            return model.set_params(C=C[0]).fit(features, labels)
        if (np.bincount(labels) == 1).any():
            raise ValueError("a class has a single training image: raise the fraction `probe`, or give one `C`")
        size = max(num_classes, round(self.params.val_fraction * len(labels)))
        parts: Any = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
        if self.params.folds > 1:
            fewest = int(np.unique(labels, return_counts=True)[1].min())
            parts = StratifiedKFold(min(self.params.folds, fewest), shuffle=True, random_state=seed)
        search = GridSearchCV(model, {"C": C}, cv=parts)
        search.fit(features, labels)
        self.val_top1 = float(search.best_score_)
        scores = search.cv_results_["mean_test_score"].tolist()
        self.chosen["held_out_top1"] = dict(zip(map(str, C), scores, strict=True))
        return search.best_estimator_
