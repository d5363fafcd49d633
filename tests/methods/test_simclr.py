"""NT-Xent against closed forms, a loop in NumPy, and its symmetries."""

import math

import numpy as np
import pytest
import tiny
import torch
from draws import gaussian, grad, slopes, unit

from vicreg.methods.simclr import nt_xent


def loop(a: np.ndarray, b: np.ndarray, temperature: float) -> float:
    """Equation 1, view by view: the positive is one of the 2N - 1 others in the sum."""
    z, n, losses = unit(np.concatenate([a, b])), len(a), []
    for i in range(2 * n):
        others = [math.exp(z[i] @ z[j] / temperature) for j in range(2 * n) if j != i]
        losses.append(-math.log(math.exp(z[i] @ z[(i + n) % (2 * n)] / temperature) / sum(others)))
    return sum(losses) / (2 * n)


def test_equal_embeddings_give_the_log_of_all_others() -> None:
    z = torch.ones(8, 5)
    assert float(nt_xent(z, 3 * z, 0.2)) == pytest.approx(math.log(15), abs=1e-6)


def test_orthonormal_pairs_give_the_closed_form() -> None:
    z = torch.eye(8, 12, dtype=torch.float64)
    assert float(nt_xent(z, z, 0.2)) == pytest.approx(math.log(1 + 14 * math.exp(-5)), rel=1e-12)


def test_independent_gaussians_start_near_the_log_of_all_others() -> None:
    a, b = gaussian(512, 2048), gaussian(512, 2048, seed=1)
    assert float(nt_xent(a, b, 0.2)) == pytest.approx(math.log(1023) + 1 / (2 * 0.04 * 2048), abs=0.01)


def test_value_and_gradient_equal_a_loop_in_numpy() -> None:
    a, b = gaussian(5, 4).requires_grad_(), gaussian(5, 4, seed=1).requires_grad_()
    loss = nt_xent(a, b, 0.3)
    loss.backward()
    x, y = a.detach().numpy(), b.detach().numpy()
    assert loss.item() == pytest.approx(loop(x, y, 0.3), rel=1e-12)
    np.testing.assert_allclose(grad(a), slopes(lambda v: loop(v, y, 0.3), x), atol=1e-8)
    np.testing.assert_allclose(grad(b), slopes(lambda v: loop(x, v, 0.3), y), atol=1e-8)  # through both sides


def test_scales_rotations_order_and_the_swap_of_views_change_nothing() -> None:
    a, b = gaussian(6, 4), gaussian(6, 4, seed=1)
    expected = float(nt_xent(a, b, 0.2))
    scales, order = torch.rand(6, 1, dtype=torch.float64) + 0.1, torch.randperm(6)
    rotation, _ = torch.linalg.qr(gaussian(4, 4, seed=2))
    for one, other in ((a * scales, b), (a @ rotation, b @ rotation), (b, a), (a[order], b[order])):
        assert float(nt_xent(one, other, 0.2)) == pytest.approx(expected, rel=1e-12)


def test_half_precision_is_summed_in_float32() -> None:
    a, b = gaussian(64, 16).bfloat16(), gaussian(64, 16, seed=1).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = nt_xent(a, b, 0.07)
    assert loss.dtype == torch.float32
    assert float(loss) == pytest.approx(loop(a.double().numpy(), b.double().numpy(), 0.07), rel=1e-5)


def test_small_crops_are_compared_with_both_full_views() -> None:
    method = tiny.method("simclr", small_views=1, small_size=12).eval()
    views, small = torch.rand(12, 3, 32, 32), torch.rand(6, 3, 12, 12)
    a, b, c = (method.embed(crop) for crop in (views[:6], views[6:], small))
    expected = (nt_xent(a, b, 0.2) + nt_xent(c, a, 0.2) + nt_xent(c, b, 0.2)) / 3
    torch.testing.assert_close(method({"views": views, "small": small})["loss"], expected)
