"""The VICReg objective against closed forms, a float64 computation in numpy, and finite differences."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from draws import gaussian, grad, slopes

from vicreg.methods.vicreg import VICReg, invariance, objective
from vicreg.nn.variance_covariance import covariance, variance


def numpy_loss(a, b, weights, variance_views, invariance_sums):
    """Equations 1 to 6 of the paper, written independently of the code: loops, numpy's cov and var, float64."""
    n, d = a.shape
    distance = sum(float(np.sum((a[i] - b[i]) ** 2)) for i in range(n)) / n
    hinge = [sum(max(0.0, 1 - np.sqrt(np.var(z[:, j], ddof=1) + 1e-4)) for j in range(d)) / d for z in (a, b)]
    off = [sum(np.cov(z.T)[i, j] ** 2 for i in range(d) for j in range(d) if i != j) / d for z in (a, b)]
    terms = (distance if invariance_sums else distance / d, sum(hinge) / variance_views, sum(off))
    return sum(w * t for w, t in zip(weights, terms, strict=True)), terms


def params(**changes: Any) -> VICReg.Params:
    return VICReg.Params(**{"projector_width": 8} | changes)


def embeddings(n, d, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, d, generator=generator, dtype=torch.float64) * 0.7 + 0.3 for _ in range(2)]


@pytest.mark.parametrize("over_views, views", [("mean", 2), ("sum", 1)])
@pytest.mark.parametrize("over_dimensions, sums", [("mean", False), ("sum", True)])
def test_loss_and_terms_equal_an_independent_computation(over_views, views, over_dimensions, sums):
    a, b = embeddings(9, 6)
    conventions = {"variance_over_views": over_views, "invariance_over_dimensions": over_dimensions}
    terms_of = objective([a, b], params(invariance=25.0, variance=20.0, covariance=2.0, **conventions))
    loss, terms = numpy_loss(a.numpy(), b.numpy(), (25.0, 20.0, 2.0), views, sums)
    assert float(terms_of["loss"]) == pytest.approx(loss, rel=1e-12)
    assert [float(terms_of[k]) for k in ("invariance", "variance", "covariance")] == pytest.approx(terms, rel=1e-12)


def test_gradients_equal_finite_differences():
    a, b = embeddings(5, 4)
    a.requires_grad_()
    objective([a, b], params())["loss"].backward()
    step, values = 1e-6, a.detach().numpy()
    for i, j in [(0, 0), (2, 3), (4, 1)]:
        up, down = values.copy(), values.copy()
        up[i, j] += step
        down[i, j] -= step
        losses = [numpy_loss(v, b.numpy(), (25.0, 25.0, 1.0), 2, False)[0] for v in (up, down)]
        assert float(a.grad[i, j]) == pytest.approx((losses[0] - losses[1]) / (2 * step), rel=1e-6)


def test_gradients_of_the_whole_loss_pass_gradcheck():
    a, b = (z.requires_grad_() for z in embeddings(6, 3, seed=3))
    assert torch.autograd.gradcheck(lambda x, y: objective([x, y], params())["loss"], (a, b))


def test_identical_views_and_constant_embeddings():
    z = torch.ones(8, 5)
    assert float(invariance(z, z)) == 0
    assert float(variance(z)) == pytest.approx(1 - 1e-2)  # gamma - sqrt(epsilon)
    assert float(covariance(z)) == 0


def test_two_copies_of_a_unit_dimension_have_covariance_one():
    column = torch.tensor([1.0, -1.0, 1.0, -1.0]) * (3 / 4) ** 0.5  # variance 1 with N - 1
    z = torch.stack([column, column], dim=1)
    assert float(covariance(z)) == pytest.approx(1.0)  # (1 + 1) / 2
    assert float(variance(z)) == 0  # sqrt(1 + epsilon) is above gamma


def test_the_loss_is_computed_in_float32_even_inside_autocast():
    a, b = (z.bfloat16() for z in embeddings(64, 32))
    with torch.autocast("cpu", torch.bfloat16):
        terms = objective([a, b], params())
    expected, _ = numpy_loss(a.double().numpy(), b.double().numpy(), (25.0, 25.0, 1.0), 2, False)
    assert terms["loss"].dtype == torch.float32
    assert float(terms["loss"]) == pytest.approx(expected, rel=1e-5)


def test_the_method_sees_first_views_before_second_ones() -> None:
    method = tiny.method("vicreg").eval()
    a, b = torch.rand(7, 3, 32, 32), torch.rand(7, 3, 32, 32)
    outputs = method(torch.cat([a, b]))
    expected = objective([method.embed(a), method.embed(b)], method.params)
    for key, value in expected.items():
        torch.testing.assert_close(outputs[key], value)
    torch.testing.assert_close(outputs["embeddings"], torch.cat([method.embed(a), method.embed(b)]))


def test_the_pair_loss_is_the_objective_on_a_batch_of_two() -> None:
    a, b = embeddings(2, 6)
    method = tiny.method("vicreg", projector_width=6)
    pair, flipped = np.stack([a[0], b[0]]), np.stack([b[0], a[0]])
    loss, values = numpy_loss(pair, flipped, (25.0, 25.0, 1.0), 2, False)
    terms = method.pair_terms(a[0], b[0])
    assert float(terms["loss"]) == pytest.approx(loss)
    assert [float(terms[key]) for key in ("invariance", "variance", "covariance")] == pytest.approx(values)
    same = method.pair_terms(a[0], a[0])
    assert float(same["invariance"]) == 0 and float(same["variance"]) == pytest.approx(0.99)  # gamma - sqrt(epsilon)


@pytest.mark.parametrize(
    "changes",
    [{"projector_width": 1}, {"invariance": -1.0}, {"gamma": 0.0}, {"epsilon": float("inf")}, {"lambda": 25.0}],
)
def test_impossible_parameters_are_errors_that_name_them(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        params(**changes)


def numpy_asymmetric(predictions, targets, full):
    """The invariance of equation 8, in both directions of each pair, mean over pairs, written with loops."""
    pairs = [(0, 1)] + [(small, i) for small in range(2, len(targets)) for i in range(full)]
    values = []
    for i, j in pairs:
        values += [np.mean((predictions[i] - targets[j]) ** 2), np.mean((predictions[j] - targets[i]) ** 2)]
    return float(np.mean(values))


@pytest.mark.parametrize("views", [2, 3])
@pytest.mark.parametrize("stop", [True, False])
def test_predictions_and_stopped_targets_follow_equation_8(views: int, stop: bool) -> None:
    p, z = ([gaussian(6, 4, seed=10 * k + v).requires_grad_() for v in range(views)] for k in (0, 1))
    section = params(variance=0.0, covariance=0.0, stop_gradient=stop, predictor=True)
    loss = objective(z, section, p)["loss"]
    loss.backward()
    x, y = ([v.detach().numpy() for v in group] for group in (p, z))
    assert loss.item() == pytest.approx(25 * numpy_asymmetric(x, y, 2))
    np.testing.assert_allclose(grad(p[0]), slopes(lambda v: 25 * numpy_asymmetric([v, *x[1:]], y, 2), x[0]), atol=1e-7)
    if stop:
        assert all(v.grad is None or not v.grad.any() for v in z)
    else:
        np.testing.assert_allclose(
            grad(z[1]), slopes(lambda v: 25 * numpy_asymmetric(x, [y[0], v, *y[2:]], 2), y[1]), atol=1e-7
        )


def test_without_predictor_stopping_the_gradient_halves_it_and_keeps_the_value() -> None:
    gradients, values = [], []
    for stop in (True, False):
        a, b = (v.requires_grad_() for v in embeddings(6, 4))
        section = params(variance=0.0, covariance=0.0, stop_gradient=stop)
        outputs = objective([a, b], section)
        outputs["loss"].backward()
        gradients.append(grad(a))
        values.append(outputs["loss"].item())
    assert values[0] == pytest.approx(values[1])
    np.testing.assert_allclose(2 * gradients[0], gradients[1])


def test_a_small_crop_is_compared_with_both_views_and_regularized_like_them() -> None:
    a, b = embeddings(9, 6)
    c = gaussian(9, 6, seed=4)
    outputs = objective([a, b, c], params())
    pairs = [numpy_loss(x.numpy(), y.numpy(), (1.0, 0.0, 0.0), 2, False)[1] for x, y in ((a, b), (c, a), (c, b))]
    assert float(outputs["invariance"]) == pytest.approx(np.mean([pair[0] for pair in pairs]))
    hinges = [numpy_loss(x.numpy(), x.numpy(), (0.0, 1.0, 0.0), 2, False)[1] for x in (a, b, c)]
    assert float(outputs["variance"]) == pytest.approx(np.mean([hinge[1] for hinge in hinges]))
    assert float(outputs["covariance"]) == pytest.approx(np.mean([hinge[2] for hinge in hinges]))


def test_variants_have_the_heads_they_name() -> None:
    method = tiny.method("vicreg", predictor=True, batch_norm=False)
    names = [type(layer).__name__ for layer in (*method.projector, *method.predictor)]
    assert names == ["Linear", "ReLU", "Linear", "ReLU", "Linear", "Linear", "ReLU", "Linear"]
