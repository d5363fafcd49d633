"""Intervals: how sure an accuracy is, and a difference of two on the same images."""

import numpy as np


def central(draws: np.ndarray) -> tuple[float, float]:
    """The limits of the middle 95 % of the draws."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return float(low), float(high)


def bootstrap_interval(correct: np.ndarray, seed: int, resamples: int = 10_000) -> tuple[float, float]:
    """95 % percentile interval of the mean of `correct` (N,) bool, resampled with replacement (Efron, 1979).

    N draws from N zeros and ones are a binomial draw, so each resample is one random number.
    """
    return central(np.random.default_rng(seed).binomial(len(correct), correct.mean(), size=resamples) / len(correct))


def paired_interval(
    correct: np.ndarray, baseline: np.ndarray, seed: int, resamples: int = 10_000
) -> tuple[float, float]:
    """95 % percentile interval of the difference of the means of two (N,) bool, on the same images.

    Each image gains, loses or changes nothing, so a resample of the images is one multinomial draw.
    """
    n, gained, lost = len(correct), int((correct & ~baseline).sum()), int((baseline & ~correct).sum())
    shares = np.array([gained, lost, n - gained - lost]) / n
    draws = np.random.default_rng(seed).multinomial(n, shares, size=resamples)
    return central((draws[:, 0] - draws[:, 1]) / n)


def pack_bits(correct: np.ndarray) -> str:
    """Which images (N,) bool were right, as hexadecimal text, eight images in two digits."""
    return np.packbits(correct).tobytes().hex()


def unpack_bits(text: str, count: int) -> np.ndarray:
    """The (count,) bool that `pack_bits` wrote."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=count).astype(bool)
