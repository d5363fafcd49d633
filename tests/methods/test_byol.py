"""BYOL against closed forms and NumPy; its teacher moves as a moving average and gets no gradient."""

import math

import numpy as np
import pytest
import tiny
import torch
from draws import gaussian, grad, slopes, unit

from vicreg.methods.byol import objective


def numpy_loss(p1: np.ndarray, p2: np.ndarray, t1: np.ndarray, t2: np.ndarray) -> float:
    squares = [np.sum((unit(p) - unit(t)) ** 2, axis=1) for p, t in ((p1, t2), (p2, t1))]
    return float(np.mean(squares[0] + squares[1]))


def test_value_and_gradient_equal_squared_distances_in_numpy() -> None:
    p1, p2, t1, t2 = (gaussian(5, 4, seed=seed) for seed in range(4))
    p1.requires_grad_()
    loss = objective(p1, p2, t1, t2)
    loss.backward()
    others = [z.numpy() for z in (p2, t1, t2)]
    assert loss.item() == pytest.approx(numpy_loss(p1.detach().numpy(), *others), rel=1e-12)
    np.testing.assert_allclose(grad(p1), slopes(lambda v: numpy_loss(v, *others), p1.detach().numpy()), atol=1e-8)
    assert np.abs((grad(p1) * p1.detach().numpy()).sum(1)).max() < 1e-12  # no gradient along the length of a prediction


def test_equal_directions_cost_nothing_and_independent_ones_four() -> None:
    z = gaussian(2000, 64)
    assert float(objective(z, z, 2 * z, 5 * z)) == pytest.approx(0, abs=1e-12)
    assert float(objective(z, z, -z, -z)) == pytest.approx(8)
    assert float(objective(z, z, *(gaussian(2000, 64, seed=s) for s in (1, 2)))) == pytest.approx(4, abs=0.05)


def test_predictions_are_of_the_other_view_and_the_teacher_learns_nothing() -> None:
    method = tiny.method("byol").eval()
    a, b = torch.rand(6, 3, 32, 32), torch.rand(6, 3, 32, 32)
    p = [method.predictor(method.projector(method.encoder(x))) for x in (a, b)]
    t = [method.projector(method.encoder(x)) for x in (a, b)]  # the teacher begins as a copy
    outputs = method(torch.cat([a, b]))
    torch.testing.assert_close(outputs["loss"], objective(*p, *t))
    outputs["loss"].backward()
    assert all(q.grad is None and not q.requires_grad for q in method.teacher.parameters())
    assert all(q.grad is not None for q in method.predictor.parameters())


def test_the_teacher_nears_a_constant_network_by_the_product_of_momenta() -> None:
    method, steps = tiny.method("byol", momentum=0.9), 10
    before = [p.clone() for p in method.teacher.parameters()]
    with torch.no_grad():
        for p in (*method.encoder.parameters(), *method.projector.parameters()):
            p.add_(1.0)
    left = 1.0
    for step in range(steps):
        method.after_step({}, step / steps)
        left *= 1 - (1 - 0.9) * (1 + math.cos(math.pi * step / steps)) / 2
    for old, new in zip(before, method.teacher.parameters(), strict=True):
        torch.testing.assert_close(new, old + 1 - left, rtol=1e-4, atol=1e-5)


def test_with_momentum_one_the_teacher_stays_as_it_is() -> None:
    method = tiny.method("byol", momentum=1.0)
    before = [p.clone() for p in method.teacher.parameters()]
    tiny.run(tiny.state(method), settings=tiny.config(1))
    assert all(torch.equal(old, new) for old, new in zip(before, method.teacher.parameters(), strict=True))
