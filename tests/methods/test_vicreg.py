"""The VICReg objective against closed forms, a float64 computation in numpy, and finite differences."""

from typing import Any

import numpy as np
import pytest
import torch

from vicreg.methods.vicreg import Objective, build, covariance, invariance, variance
from vicreg.nn.mlp import mlp


def numpy_loss(a, b, weights, variance_views, invariance_sums):
    """Equations 1 to 6 of the paper, written independently of the code: loops, numpy's cov and var, float64."""
    n, d = a.shape
    distance = sum(float(np.sum((a[i] - b[i]) ** 2)) for i in range(n)) / n
    hinge = [sum(max(0.0, 1 - np.sqrt(np.var(z[:, j], ddof=1) + 1e-4)) for j in range(d)) / d for z in (a, b)]
    off = [sum(np.cov(z.T)[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d for z in (a, b)]
    terms = (distance if invariance_sums else distance / d, sum(hinge) / variance_views, sum(off))
    return sum(w * t for w, t in zip(weights, terms, strict=True)), terms


def embeddings(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, generator=generator, dtype=torch.float64) * 0.7 + 0.3 for _ in range(2)]


@pytest.mark.parametrize("over_views, views", [("mean", 2), ("sum", 1)])
@pytest.mark.parametrize("over_dimensions, sums", [("mean", False), ("sum", True)])
def test_the_loss_and_its_terms_equal_an_independent_float64_computation(over_views, views, over_dimensions, sums):
    a, b = embeddings(9, 6)
    objective = Objective(25.0, 20.0, 2.0, variance_over_views=over_views, invariance_over_dimensions=over_dimensions)
    found = objective(a, b)
    loss, terms = numpy_loss(a.numpy(), b.numpy(), (25.0, 20.0, 2.0), views, sums)
    assert float(found["loss"]) == pytest.approx(loss, rel=1e-12)
    assert [float(found[k]) for k in ("invariance", "variance", "covariance")] == pytest.approx(terms, rel=1e-12)


def test_gradients_equal_finite_differences_of_the_independent_computation():
    a, b = embeddings(5, 4)
    a.requires_grad_()
    Objective()(a, b)["loss"].backward()
    step, values = 1e-6, a.detach().numpy()
    for i, j in [(0, 0), (2, 3), (4, 1)]:
        up, down = values.copy(), values.copy()
        up[i, j] += step
        down[i, j] -= step
        losses = [numpy_loss(v, b.numpy(), (25.0, 25.0, 1.0), 2, False)[0] for v in (up, down)]
        assert float(a.grad[i, j]) == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-6)


def test_gradients_of_the_whole_loss_pass_gradcheck():
    a, b = (z.requires_grad_() for z in embeddings(6, 3, seed=3))
    assert torch.autograd.gradcheck(lambda x, y: Objective()(x, y)["loss"], (a, b))


def test_identical_views_have_no_invariance_and_a_constant_embedding_the_full_hinge():
    z = torch.ones(8, 5)
    assert float(invariance(z, z)) == 0
    assert float(variance(z)) == pytest.approx(1 - 1e-2)  # gamma - sqrt(epsilon)
    assert float(covariance(z)) == 0


def test_two_copies_of_a_unit_dimension_have_covariance_one_over_d_times_two_entries():
    column = torch.tensor([1.0, -1.0, 1.0, -1.0]) * (3 / 4) ** 0.5  # variance 1 with N - 1
    z = torch.stack([column, column], dim=1)
    assert float(covariance(z)) == pytest.approx(1.0)  # (1 + 1) / 2
    assert float(variance(z)) == 0  # sqrt(1 + epsilon) is above gamma


def test_the_loss_is_computed_in_float32_even_inside_autocast():
    a, b = (z.bfloat16() for z in embeddings(64, 32))
    with torch.autocast("cpu", torch.bfloat16):
        found = Objective()(a, b)
    expected, _ = numpy_loss(a.double().numpy(), b.double().numpy(), (25.0, 25.0, 1.0), 2, False)
    assert found["loss"].dtype == torch.float32
    assert float(found["loss"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_the_projector_has_the_asked_depth_and_width(depth):
    head = mlp(12, 20, depth)
    linear = [layer for layer in head if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [20] * depth
    assert head(torch.randn(4, 12)).shape == (4, 20)


def test_the_method_sees_first_views_before_second_ones():
    class Identity(torch.nn.Module):
        dimension = 3

        def forward(self, x):
            return x

    stand_in: Any = Identity()
    method: Any = build(stand_in, width=3, projector_depth=1)
    a, b = torch.randn(7, 3), torch.randn(7, 3)
    expected = Objective()(method.projector(a), method.projector(b))
    found = method(torch.cat([a, b]))
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value)
