"""Evaluation: how often the true class is the first guess, or among the first five, and how sure that is."""

import numpy as np


def ranked(scores: np.ndarray, k: int = 5) -> np.ndarray:
    """The classes (N, min(k, C)) of the highest scores (N, C), best first; equal scores in the order of classes."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def hits(guesses: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether each true label (N,) is among the first `k` guesses (N, at least k where there are as many classes)."""
    return (guesses[:, :k] == labels[:, None]).any(axis=1)


def bootstrap_interval(correct: np.ndarray, seed: int, resamples: int = 10_000) -> tuple[float, float]:
    """95 % percentile interval of the mean of `correct` (N,) bool, resampled with replacement (Efron, 1979).

    N draws from N zeros and ones are a binomial draw, so each resample is one random number.
    """
    draws = np.random.default_rng(seed).binomial(len(correct), correct.mean(), size=resamples) / len(correct)
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def accuracies(guesses: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {"top1": float(hits(guesses, labels, 1).mean()), "top5": float(hits(guesses, labels, 5).mean())}


def score(epochs: list[np.ndarray], labels: np.ndarray, seed: int) -> dict:
    """Judge a probe's guesses (N, k) after each of its epochs; the last epoch counts.

    Returns top1, its 95 % interval top1_low and top1_high, top5, and the curve over epochs where there are several.
    """
    low, high = bootstrap_interval(hits(epochs[-1], labels, 1), seed)
    curve = [{"epoch": epoch, **accuracies(guesses, labels)} for epoch, guesses in enumerate(epochs, 1)]
    return {
        **accuracies(epochs[-1], labels),
        "top1_low": low,
        "top1_high": high,
        "curve": curve if len(curve) > 1 else [],
    }


def standardised(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, D), (M, D) scaled by the training ones' mean and deviation; a constant dimension becomes 0."""
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    scale = np.where(deviation > 1e-6, 1 / np.maximum(deviation, 1e-6), 0).astype(train.dtype)
    return (train - mean) * scale, (test - mean) * scale
