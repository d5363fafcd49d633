"""The logistic probe: scikit-learn's regression to its optimum, with C chosen on a part of the training features."""

import warnings
from typing import Any

import numpy as np
import torch

from vicreg.evaluation.classifiers.linear import Head
from vicreg.evaluation.metrics import ranked, standardisation


def guess(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    classes: int,
    seed: int,
    device: Any,
    C: list[float],
    holdout: float = 0.2,
    max_iter: int = 300,
    standardise: bool = True,
) -> tuple[list[np.ndarray], dict, Head]:
    """Guesses of the regression fitted to all training features with the C that did best on the part held out.

    `device` is the head's: scikit-learn computes on the CPU. A fit that stops at `max_iter` is told in the settings.
    Raises ValueError where C is to be chosen and a class has a single training image.
    """
    from sklearn.model_selection import train_test_split

    mean, scale = standardisation(train) if standardise else (np.zeros_like(train[0]), np.ones_like(train[0]))
    train, test = (train - mean) * scale, (test - mean) * scale
    settings: dict[str, Any] = {"C": C[0]}
    if len(C) > 1:
        check_enough(labels)
        size = max(classes, round(holdout * len(train)))
        fit_part, held_out = train_test_split(np.arange(len(train)), test_size=size, stratify=labels, random_state=seed)
        trials = {}
        for value in C:
            model = fitted(train[fit_part], labels[fit_part], value, max_iter)
            trials[str(value)] = float(model.score(train[held_out], labels[held_out]))
        settings = {"C": max(C, key=lambda value: trials[str(value)]), "held_out_top1": trials}
    model = fitted(train, labels, settings["C"], max_iter)
    scores = np.full((len(test), classes), -np.inf)
    scores[:, model.classes_] = model.predict_log_proba(test)
    settings["converged"] = bool(model.n_iter_.max() < max_iter)
    return [ranked(scores)], settings, as_head(model, classes, mean, scale).to(device)


def as_head(model: Any, classes: int, mean: np.ndarray, scale: np.ndarray) -> Head:
    """The regression as a head; a class that no training image has gets the probability 0."""
    weight, bias = np.zeros((classes, len(mean)), mean.dtype), np.full(classes, -np.inf, mean.dtype)
    if len(model.classes_) == 2:  # scikit-learn keeps one row then: the score of the second class, the first has 0
        weight[model.classes_[1]], bias[model.classes_] = model.coef_[0], [0, model.intercept_[0]]
    else:
        weight[model.classes_], bias[model.classes_] = model.coef_, model.intercept_
    return Head(*(torch.from_numpy(part) for part in (mean, scale, weight, bias)))


def check_enough(labels: np.ndarray) -> None:
    """Raise ValueError where a class has one training image: it cannot both fit the regression and help to choose C."""
    single = int((np.bincount(labels) == 1).sum())
    if single:
        raise ValueError(
            f"the probe logistic holds out a part of each class to choose C, but {single} classes have a single "
            "training image: raise the fraction `probe`, or name one value in `probes.logistic.C`"
        )


def fitted(features: np.ndarray, labels: np.ndarray, C: float, max_iter: int) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():  # told as `converged` instead
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(C=C, max_iter=max_iter).fit(features, labels)
