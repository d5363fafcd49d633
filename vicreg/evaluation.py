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


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D), (M, D) scaled by the training ones' mean and deviation; a constant dimension becomes 0."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0).astype(train.dtype)
    return (train - mean) * scale, (test - mean) * scale
