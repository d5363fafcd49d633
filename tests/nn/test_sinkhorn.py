"""Sinkhorn against the authors' listing in NumPy, and its symmetries."""

import numpy as np
import pytest
import torch
from draws import gaussian
from torch import Tensor
from torch.nn.functional import normalize

from vicreg.nn.sinkhorn import sinkhorn


def cosines(n: int, k: int, seed: int = 0) -> Tensor:
    return normalize(gaussian(n, 6, seed=seed)) @ normalize(gaussian(k, 6, seed=seed + 9)).T


def numpy_codes(scores: np.ndarray, epsilon: float, iterations: int) -> np.ndarray:
    """The authors' listing: a matrix (K, B) of total 1 whose rows come to 1 / K and columns to 1 / B, in turn."""
    q = np.exp(scores.T / epsilon)
    q /= q.sum()
    k, b = q.shape
    for _ in range(iterations):
        q /= q.sum(1, keepdims=True) * k
        q /= q.sum(0, keepdims=True) * b
    return (q * b).T


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_codes_equal_the_authors_listing_in_numpy(iterations: int) -> None:
    scores = cosines(12, 5)
    codes = sinkhorn(scores, 0.05, iterations)
    np.testing.assert_allclose(codes, numpy_codes(scores.numpy(), 0.05, iterations), atol=1e-12)
    torch.testing.assert_close(codes.sum(1), torch.ones(12, dtype=torch.float64))


def test_many_iterations_use_all_prototypes_alike() -> None:
    codes = sinkhorn(cosines(12, 5), 0.5, 2000)
    torch.testing.assert_close(codes.sum(0), torch.full((5,), 12 / 5, dtype=torch.float64))


def test_what_changes_codes_and_what_does_not() -> None:
    scores = cosines(12, 5)
    codes = sinkhorn(scores, 0.05, 3)
    torch.testing.assert_close(sinkhorn(scores + gaussian(1, 5), 0.05, 3), codes)  # a constant for each prototype
    torch.testing.assert_close(sinkhorn(scores + 7, 0.05, 3), codes)
    assert (sinkhorn(scores + gaussian(12, 1), 0.05, 3) - codes).abs().max() > 0.01  # one for each image does
    rows, columns = torch.randperm(12), torch.randperm(5)
    torch.testing.assert_close(sinkhorn(scores[rows], 0.05, 3), codes[rows])
    torch.testing.assert_close(sinkhorn(scores[:, columns], 0.05, 3), codes[:, columns])


def test_rows_at_minus_infinity_count_as_absent() -> None:
    scores = cosines(12, 5)
    absent = torch.full((4, 5), -torch.inf, dtype=torch.float64)
    torch.testing.assert_close(sinkhorn(torch.cat([scores, absent]), 0.05, 3)[:12], sinkhorn(scores, 0.05, 3))


def test_half_precision_scores_are_assigned_in_float32() -> None:
    codes = sinkhorn(torch.eye(4).bfloat16(), 0.01, 3)
    assert codes.dtype == torch.float32 and codes.isfinite().all()
