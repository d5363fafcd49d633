"""Optimizers against their papers, schedules, and the choice of devices."""

from collections.abc import Callable

import pytest
import tiny
import torch
from torch import nn

from vicreg.engine import devices, optimizers
from vicreg.engine.optimizers import Schedule


def schedule(name: str, steps_per_epoch: int, epochs: int, **values: float) -> Callable[[int], float]:
    section = {"name": name, "warmup": 0.1, "final": 0.01, "switch_epoch": 30, "switch_factor": 0.1, **values}
    return optimizers.build_schedule(Schedule.model_validate(section), steps_per_epoch, epochs)


def test_cosine_rises_linearly_then_falls_as_half_a_cosine() -> None:
    factor = schedule("cosine", steps_per_epoch=10, epochs=10)
    assert [factor(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert factor(10) == pytest.approx(1.0)
    assert factor(55) == pytest.approx((1 + 0.01) / 2)
    assert factor(100) == pytest.approx(0.01)


def test_the_reports_two_phases_are_1e_4_and_then_1e_5() -> None:
    factor = schedule("two_phase", steps_per_epoch=5, epochs=50)
    assert [1e-4 * factor(step) for step in (0, 149, 150, 249)] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])


def test_the_peak_rate_scales_with_the_batch() -> None:
    sections = [tiny.optimizer("sgd", 0.1).model_copy(update={"scaling": name}) for name in ("linear", "sqrt", "none")]
    assert [section.peak_lr(1024) for section in sections] == pytest.approx([0.4, 0.2, 0.1])
    groups = optimizers.build_optimizer(nn.Linear(2, 2), sections[0], 1024).param_groups
    assert [group["lr"] for group in groups] == pytest.approx([0.4, 0.4])


NAMES = ["adam", "adamw", "sgd", "lars", "muon"]


@pytest.mark.parametrize("name", NAMES)
def test_biases_and_norms_are_spared_from_weight_decay(name: str) -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    nn.init.ones_(model.get_parameter("0.bias"))
    optimizer = optimizers.build_optimizer(model, tiny.optimizer(name, 0.1, weight_decay=0.5), 256)
    before = {key: value.clone() for key, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for key, value in model.named_parameters():
        assert torch.equal(value, before[key]) == (value.ndim == 1 or (name == "lars" and not value.any())), key


@pytest.mark.parametrize("name", NAMES)
def test_frozen_parameters_are_no_business_of_the_optimizer(name: str) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3).requires_grad_(False))
    optimizer = optimizers.build_optimizer(model, tiny.optimizer(name), 256)
    assert {id(p) for group in optimizer.param_groups for p in group["params"]} == {
        id(p) for p in model[0].parameters()
    }


@pytest.mark.parametrize(("scale", "rate"), [(1e-4, 0.2), (1e4, None)])
def test_with_trust_clip_the_rate_is_a_cap(scale: float, rate: float | None) -> None:
    layer = nn.Linear(4, 3, bias=False)
    section = tiny.optimizer("lars", 0.2, 0.0).model_copy(update={"momentum": 0.0, "trust_clip": True})
    optimizer = optimizers.build_optimizer(layer, section, 256)
    weight, gradient = layer.weight.detach().clone(), scale * torch.randn(3, 4)
    layer.weight.grad = gradient.clone()
    optimizer.step()
    lr = rate or 0.001 * weight.norm() / gradient.norm()  # of small gradients the cap, of large ones LARS's own
    torch.testing.assert_close(layer.weight.detach(), weight - lr * gradient)


@pytest.mark.parametrize("decay", [0.01, 0.0])
def test_lars_steps_as_its_paper_says(decay: float) -> None:
    layer = nn.Linear(4, 3, bias=False)
    section = tiny.optimizer("lars", 0.2, decay).model_copy(update={"momentum": 0.0})
    optimizer = optimizers.build_optimizer(layer, section, 256)
    weight, gradient = layer.weight.detach().clone(), torch.randn(3, 4)
    layer.weight.grad = gradient.clone()
    optimizer.step()
    trust = 0.001 * weight.norm() / (gradient.norm() + decay * weight.norm())
    torch.testing.assert_close(layer.weight.detach(), weight - 0.2 * trust * (gradient + decay * weight))


def test_muon_steps_by_an_orthogonal_matrix_and_leaves_vectors_to_nadamw() -> None:
    layer = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    section = tiny.optimizer("muon", 0.02, 0.5).model_copy(update={"momentum": 0.9})
    optimizer = optimizers.build_optimizer(layer, section, 256)
    buffer, before = torch.zeros(8, 27), layer.get_parameter("bias").detach().clone()
    for number in range(2):
        weight, gradient = layer.weight.detach().clone(), torch.randn(8, 3, 3, 3)
        layer.weight.grad = gradient.clone(memory_format=torch.channels_last)
        layer.get_parameter("bias").grad = torch.tensor([1.0, -2.0] * 4)
        optimizer.step()
        if number == 0:  # (0.9 * 0.1 + 0.1) / 0.1 = 1.9, Nesterov's momentum with its bias corrected
            by = 1.9 * 0.3 * 0.02 * torch.tensor([1.0, -1.0] * 4)
            torch.testing.assert_close(layer.get_parameter("bias").detach(), before - by)
        buffer = 0.9 * buffer + 0.1 * gradient.view(8, 27)
        u, _, v = torch.linalg.svd(0.9 * buffer + 0.1 * gradient.view(8, 27), full_matrices=False)  # Nesterov's
        step = (weight * (1 - 0.02 * 0.5) - layer.weight.detach()).reshape(8, 27) / (0.02 * 0.2 * 27**0.5)
        singular = torch.linalg.svdvals(step)  # five Newton-Schulz steps in bfloat16 bring them near 1
        assert singular.min() > 0.6 and singular.max() < 1.3
        torch.testing.assert_close(step @ v.T, u * (u * (step @ v.T)).sum(0), atol=0.02, rtol=0)  # the same directions


def test_auto_chooses_a_device_that_is_there() -> None:
    assert devices.choose_device("auto").type in {"cpu", "cuda", "mps"}
    assert devices.choose_dtype("float32", tiny.CPU) == torch.float32
    assert devices.choose_dtype("auto", tiny.CPU) in {torch.float32, torch.bfloat16}
    with pytest.raises(ValueError, match=r"device = 'cuda:77' cannot be used here"):
        devices.choose_device("cuda:77")


def test_as_many_processes_as_gpus_that_share_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.choose_num_processes("auto", tiny.CPU, 256) == 1
    assert devices.choose_num_processes(2, tiny.CPU, 256) == 2
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 6)
    assert devices.choose_num_processes("auto", torch.device("cuda"), 256) == 4
    assert devices.choose_num_processes("auto", torch.device("cuda", 1), 256) == 1
    with pytest.raises(ValueError, match=r"num_processes = 8, but `device: cuda` has 6 of them"):
        devices.choose_num_processes(8, torch.device("cuda"), 256)
