"""Indicators of collapse against closed forms and numpy."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from vicreg.engine import collapse


def test_orthogonal_dimensions_fill_all_of_the_space() -> None:
    z = torch.linalg.qr(torch.randn(64, 8, dtype=torch.float64))[0] * 3
    assert collapse.indicators(z)["effective_rank"] == pytest.approx(8, rel=1e-4)
    assert collapse.indicators(z.T)["effective_rank"] == pytest.approx(8, rel=1e-4)


def test_copies_of_a_dimension_have_rank_and_correlation_one() -> None:
    z = torch.randn(64, 1) * torch.tensor([1.0, -2.0, 0.5])
    metrics = collapse.indicators(z)
    assert metrics["effective_rank"] == pytest.approx(1, abs=1e-3)
    assert metrics["embedding_correlation"] == pytest.approx(1)
    assert metrics["max_rank"] == 3
    lines = collapse.warnings(metrics | {"max_rank": 100})
    assert "mean absolute correlation 1.00" in lines[0] and "1.0 of 100 possible" in lines[1]


def test_the_indicators_are_those_of_numpy() -> None:
    z = torch.randn(40, 6) @ torch.randn(6, 6) + torch.randn(6)
    values = z.double().numpy()
    metrics = collapse.indicators(z)
    correlation = np.abs(np.corrcoef(values.T))[~np.eye(6, dtype=bool)]
    shares = (singular := np.linalg.svd(values, compute_uv=False)) / singular.sum() + 1e-7
    units = values / np.linalg.norm(values, axis=1, keepdims=True)
    assert metrics["embedding_std"] == pytest.approx(units.std(axis=0, ddof=1).mean() * np.sqrt(6))
    assert metrics["embedding_correlation"] == pytest.approx(correlation.mean())
    assert metrics["effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()))


@pytest.mark.parametrize("scale", [1e-6, 1000.0])
def test_the_indicators_do_not_depend_on_scale(scale: float) -> None:
    z = torch.randn(40, 6, dtype=torch.float64) @ torch.randn(6, 6, dtype=torch.float64) + 1
    assert collapse.indicators(scale * z) == pytest.approx(collapse.indicators(z), rel=1e-9)


def test_unit_embeddings_of_2048_dimensions_are_healthy() -> None:
    z = normalize(torch.randn(512, 2048))
    metrics = collapse.indicators(z)
    assert float(z.std(dim=0).mean()) == pytest.approx(1 / math.sqrt(2048), rel=0.01)
    assert metrics["embedding_std"] == pytest.approx(1, rel=0.01)
    assert metrics["max_rank"] == 512 and collapse.warnings(metrics) == []


@pytest.mark.parametrize("value", [1.0, 0.1, 1e-3, 1e4])
def test_constant_embeddings_are_collapsed(value: float) -> None:
    metrics = collapse.indicators(torch.full((1000, 4), value))
    assert metrics["embedding_std"] < 1e-9 and metrics["embedding_correlation"] == 0
    assert "hardly differ (standard deviation 0.000" in collapse.warnings(metrics)[0]


def test_nearly_equal_directions_are_collapsed() -> None:
    z = torch.ones(64, 32) + 0.001 * torch.randn(64, 32)
    assert collapse.indicators(z)["embedding_std"] == pytest.approx(0.001, rel=0.1) and collapse.MIN_STD > 0.001


def test_an_objectives_scale_shows_embeddings_that_shrink() -> None:
    z = torch.randn(1000, 8)
    assert collapse.indicators(z, scale=1.0)["embedding_std"] == pytest.approx(1, rel=0.05)
    assert collapse.indicators(z * 1e-3, scale=1.0)["embedding_std"] == pytest.approx(1e-3, rel=0.05)
    assert collapse.indicators(z, scale=2.0)["embedding_std"] == pytest.approx(0.5, rel=0.05)


def test_zeros_are_collapsed() -> None:
    metrics = collapse.indicators(torch.zeros(10, 4))
    assert metrics["embedding_std"] == 0 and math.isfinite(metrics["effective_rank"])


def test_healthy_embeddings_draw_no_warning_and_neither_does_none() -> None:
    assert collapse.warnings(collapse.indicators(torch.randn(64, 8))) == []
    assert collapse.warnings({"loss": 1.0}) == []
