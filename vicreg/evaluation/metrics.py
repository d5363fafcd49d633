"""Evaluation: how often the true class is the first guess, or among the first five."""

import numpy as np


def ranked(scores: np.ndarray, k: int = 5) -> np.ndarray:
    """The classes (N, min(k, C)) of the highest scores (N, C), best first; equal scores in the order of classes.

    Raises ValueError for scores that are NaN, which would rank as if the classes came in their order.
    """
    if np.isnan(scores).any():
        raise ValueError("a probe's scores are not finite: lower `probes.linear.lr`, or look at the features")
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def hits(guesses: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether each true label (N,) is among the first `k` guesses (N, at least k where there are as many classes)."""
    return (guesses[:, :k] == labels[:, None]).any(axis=1)


def accuracies(guesses: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {"top1": float(hits(guesses, labels, 1).mean()), "top5": float(hits(guesses, labels, 5).mean())}


def confusion(guesses: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts (C, C) of images: rows the true class, columns the first guess."""
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, guesses[:, 0]), 1)
    return counts


def standardisation(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and scale (D,) by which `(features - mean) * scale` are standard; a constant dimension becomes 0."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    return mean, np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0).astype(train.dtype)


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D), (M, D) scaled by the training ones' mean and deviation."""
    mean, scale = standardisation(train)
    return (train - mean) * scale, (test - mean) * scale
