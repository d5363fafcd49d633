"""Indicators of collapse against closed forms and numpy."""

import numpy as np
import pytest
import torch

from vicreg.engine import collapse


def test_orthogonal_dimensions_fill_all_of_the_space() -> None:
    z = torch.linalg.qr(torch.randn(64, 8, dtype=torch.float64))[0] * 3
    assert collapse.indicators(z)["effective_rank"] == pytest.approx(8, rel=1e-4)
    assert collapse.indicators(z.T)["effective_rank"] == pytest.approx(8, rel=1e-4)


def test_copies_of_one_dimension_have_rank_one_and_correlation_one() -> None:
    z = torch.randn(64, 1) * torch.tensor([1.0, -2.0, 0.5])
    found = collapse.indicators(z)
    assert found["effective_rank"] == pytest.approx(1, abs=1e-3)
    assert found["embedding_correlation"] == pytest.approx(1)
    warned = collapse.warnings(found, possible=100)
    assert "mean absolute correlation 1.00" in warned[0] and "1.0 of 100 possible" in warned[1]


def test_the_indicators_are_those_of_numpy() -> None:
    z = torch.randn(40, 6) @ torch.randn(6, 6)
    values = z.double().numpy()
    found = collapse.indicators(z)
    correlation = np.abs(np.corrcoef(values.T))[~np.eye(6, dtype=bool)]
    shares = (singular := np.linalg.svd(values, compute_uv=False)) / singular.sum() + 1e-7
    assert found["embedding_std"] == pytest.approx(values.std(axis=0, ddof=1).mean())
    assert found["embedding_correlation"] == pytest.approx(correlation.mean())
    assert found["effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


def test_constant_dimensions_are_no_division_by_zero() -> None:
    found = collapse.indicators(torch.ones(10, 4))
    assert found["embedding_std"] == 0 and found["embedding_correlation"] == 0
    assert "hardly differ (standard deviation 0.000" in collapse.warnings(found, possible=4)[0]


def test_healthy_embeddings_draw_no_warning_and_neither_do_methods_without_any() -> None:
    assert collapse.warnings(collapse.indicators(torch.randn(64, 8)), possible=8) == []
    assert collapse.warnings({"loss": 1.0}, possible=8) == []
