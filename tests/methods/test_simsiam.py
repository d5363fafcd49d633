"""SimSiam against closed forms and NumPy; no gradient reaches a target; its predictor keeps its rate."""

import numpy as np
import pytest
import tiny
import torch
from draws import gaussian, grad, slopes, unit

from vicreg.methods import byol
from vicreg.methods.simsiam import objective


def test_value_and_gradient_equal_cosines_in_numpy() -> None:
    p1, p2, z1, z2 = (gaussian(5, 4, seed=seed).requires_grad_() for seed in range(4))
    loss = objective(p1, p2, z1, z2)
    loss.backward()
    x, other, a, b = (z.detach().numpy() for z in (p1, p2, z1, z2))

    def cosines(v: np.ndarray) -> float:
        return float(-np.mean(np.sum(unit(v) * unit(b), axis=1) + np.sum(unit(other) * unit(a), axis=1)) / 2)

    assert loss.item() == pytest.approx(cosines(x), rel=1e-12)
    np.testing.assert_allclose(grad(p1), slopes(cosines, x), atol=1e-8)
    assert z1.grad is None and z2.grad is None  # the stop-gradient
    assert byol.objective(p1, p2, z1, z2).item() == pytest.approx(4 + 4 * loss.item())


def test_equal_directions_give_minus_one_and_independent_ones_nothing() -> None:
    z = gaussian(2000, 64)
    assert float(objective(z, 2 * z, z, 3 * z)) == pytest.approx(-1)
    assert float(objective(*(gaussian(2000, 64, seed=s) for s in range(4)))) == pytest.approx(0, abs=0.01)


def test_without_the_predictors_path_the_encoder_gets_no_gradient() -> None:
    method = tiny.method("simsiam")
    forward = method.predictor.forward
    method.predictor.forward = lambda z: forward(z.detach())
    method(torch.rand(8, 3, 32, 32))["loss"].backward()
    assert all(p.grad is None for p in method.encoder.parameters())


def test_directions_are_spread_evenly_at_the_start() -> None:
    outputs = tiny.method("simsiam", width=4, projector_width=64)(torch.rand(128, 3, 32, 32))
    z = torch.nn.functional.normalize(outputs["embeddings"])
    assert float(z.std(0).mean()) == pytest.approx(1 / 8, rel=0.1)  # 1 / sqrt(D)


@pytest.mark.parametrize("constant", [True, False])
def test_the_predictor_keeps_its_rate_if_asked(constant: bool) -> None:
    method = tiny.method("simsiam", constant_predictor_lr=constant)
    state = tiny.state(method, lr=0.01)
    tiny.run(state, settings=tiny.config(1, schedule=lambda step: 0.5))
    rates = {p: group["lr"] for group in state.optimizer.param_groups for p in group["params"]}
    assert {rates[p] for p in method.predictor.parameters()} == {0.01 if constant else 0.005}
    assert {rates[p] for p in method.projector.parameters()} == {0.005}
    assert set(rates) == set(method.parameters())


def test_heads_are_those_of_the_paper() -> None:
    method = tiny.method("simsiam", projector_width=8)
    kinds = [type(layer).__name__ for layer in (*method.projector, *method.predictor)]
    norm = "BatchNorm1d"
    assert kinds == ["Linear", norm, "ReLU", "Linear", norm, "Linear", norm, "ReLU", "Linear"]
    assert method.projector[-1].weight is None  # no affine map
    assert method.predictor[0].out_features == 2 and method.predictor[-1].bias is not None
    plain = tiny.method("simsiam", predictor=False, batch_norm=False)
    assert not [m for m in (*plain.projector, plain.predictor) if "Norm" in type(m).__name__]
    assert isinstance(plain.predictor, torch.nn.Identity)
