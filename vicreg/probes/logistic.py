"""The logistic probe: scikit-learn's regression to its optimum, with C chosen on a part of the training features."""

import warnings
from typing import Any

import numpy as np

from vicreg.evaluation import ranked, standardised


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
) -> tuple[list[np.ndarray], dict]:
    """Guesses of the regression fitted to all training features with the C that did best on the part held out.

    `device` is not needed: scikit-learn computes on the CPU. A fit that stops at `max_iter` is told in the settings.
    Raises ValueError where C is to be chosen and a class has a single training image.
    """
    from sklearn.model_selection import train_test_split

    if standardise:
        train, test = standardised(train, test)
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
    return [ranked(scores)], {**settings, "converged": bool(model.n_iter_.max() < max_iter)}


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
