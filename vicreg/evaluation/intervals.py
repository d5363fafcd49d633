"""Intervals: how sure an accuracy is, and a difference of two on the same images."""

import numpy as np

from vicreg.evaluation.metrics import accuracies, hits

CENTRAL = (0.025, 0.975)


def bootstrap_interval(correct: np.ndarray, seed: int, resamples: int = 10_000) -> tuple[float, float]:
    """95 % percentile interval of the mean of `correct` (N,) bool, resampled with replacement (Efron, 1979).

    N draws from N zeros and ones are a binomial draw, so each resample is one random number.
    """
    draws = np.random.default_rng(seed).binomial(len(correct), correct.mean(), size=resamples) / len(correct)
    low, high = np.quantile(draws, CENTRAL)
    return float(low), float(high)


def paired_interval(
    correct: np.ndarray, baseline: np.ndarray, seed: int, resamples: int = 10_000
) -> tuple[float, float]:
    """95 % percentile interval of the difference of two means of hits (N,) bool on the same N images.

    Each image gains, loses or changes nothing, so a resample of the images is one multinomial draw.
    """
    n = len(correct)
    gained, lost = int((correct & ~baseline).sum()), int((baseline & ~correct).sum())
    shares = np.array([gained, lost, n - gained - lost]) / n
    draws = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    low, high = np.quantile((draws[:, 0] - draws[:, 1]) / n, CENTRAL)
    return float(low), float(high)


def score(epochs: list[np.ndarray], labels: np.ndarray, seed: int) -> dict:
    """Judge a probe's guesses (N, k) after each of its epochs; the last epoch counts.

    Returns top1, its 95 % interval top1_low and top1_high, top5, the curve over epochs where there are several,
    and which images were hit (see `unpacked`), so that encoders can be compared image by image.
    """
    correct = hits(epochs[-1], labels, 1)
    low, high = bootstrap_interval(correct, seed)
    curve = [{"epoch": epoch, **accuracies(guesses, labels)} for epoch, guesses in enumerate(epochs, 1)]
    return {
        **accuracies(epochs[-1], labels),
        "top1_low": low,
        "top1_high": high,
        "curve": curve if len(curve) > 1 else [],
        "hits": packed(correct),
    }


def packed(correct: np.ndarray) -> str:
    """Hits (N,) bool as hexadecimal text, eight images in two digits."""
    return np.packbits(correct).tobytes().hex()


def unpacked(text: str, count: int) -> np.ndarray:
    """The hits (count,) bool that `packed` wrote."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)
