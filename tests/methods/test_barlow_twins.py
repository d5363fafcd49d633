"""Barlow Twins against closed forms, NumPy's correlation, and its symmetries."""

import numpy as np
import pytest
import torch
from draws import gaussian, grad, slopes
from torch import Tensor

from vicreg.methods.barlow_twins import EPSILON, objective


def loss(a: Tensor, b: Tensor, scale: float = 0.1, redundancy: float = 0.0051) -> float:
    return float(objective(a, b, scale, redundancy)["loss"])


def loop(a: np.ndarray, b: np.ndarray, scale: float = 0.1, redundancy: float = 0.0051) -> float:
    a, b = ((z - z.mean(0)) / np.sqrt(z.var(0) + EPSILON) for z in (a, b))
    value, d = 0.0, a.shape[1]
    for i in range(d):
        for j in range(d):
            c = np.mean(a[:, i] * b[:, j])
            value += (c - 1) ** 2 if i == j else redundancy * c**2
    return scale * value


def test_value_and_gradient_equal_a_loop_in_numpy() -> None:
    a, b = gaussian(6, 4).requires_grad_(), gaussian(6, 4, seed=1).requires_grad_()
    value = objective(a, b, 0.1, 0.2)["loss"]
    value.backward()
    x, y = a.detach().numpy(), b.detach().numpy()
    assert value.item() == pytest.approx(loop(x, y, 0.1, 0.2), rel=1e-12)
    np.testing.assert_allclose(grad(a), slopes(lambda v: loop(v, y, 0.1, 0.2), x), atol=1e-8)
    np.testing.assert_allclose(grad(b), slopes(lambda v: loop(x, v, 0.1, 0.2), y), atol=1e-8)


def test_uncorrelated_equal_views_cost_nothing_and_opposite_ones_four_each() -> None:
    z = torch.linalg.qr(torch.cat([torch.ones(16, 1, dtype=torch.float64), gaussian(16, 5)], dim=1))[0][:, 1:] * 9
    assert loss(z, z) == pytest.approx(0, abs=1e-8)
    assert loss(z, -z) == pytest.approx(4 * 0.1 * 5, rel=1e-4)


def test_independent_gaussians_give_the_expected_value() -> None:
    n, d = 256, 128
    expected = 1.0 * (d * (1 + 1 / (n - 1)) + 0.0051 * d * (d - 1) / (n - 1))
    values = [loss(gaussian(n, d, seed=2 * i), gaussian(n, d, seed=2 * i + 1), 1.0) for i in range(8)]
    assert np.mean(values) == pytest.approx(expected, rel=0.01)


def test_scale_shift_order_swap_and_signs_change_nothing() -> None:
    a, b = gaussian(32, 4) * 50, gaussian(32, 4, seed=1) * 50  # beside which epsilon is little
    expected = loss(a, b)
    order, signs = torch.randperm(32), torch.tensor([1.0, -1, -1, 1], dtype=torch.float64)
    for one, other in ((a * 3 + 5, b), (b, a), (a[order], b[order]), (a * signs, b * signs)):
        assert loss(one, other) == pytest.approx(expected, rel=1e-6)


def test_no_gradient_runs_along_scale_and_shift() -> None:
    a, b = (gaussian(32, 4) * 50).requires_grad_(), gaussian(32, 4, seed=1) * 50
    objective(a, b, 0.1, 0.0051)["loss"].backward()
    assert np.abs(grad(a).sum(0)).max() < 1e-12
    assert np.abs((grad(a) * a.detach().numpy()).sum(0)).max() < 1e-6
