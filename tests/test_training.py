"""The training loop, optimizers and schedules."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from vicreg.augment.policy import Policy
from vicreg.data.sources import synthetic
from vicreg.engine import devices, optimizers
from vicreg.engine.loop import TrainingError, explained_memory, pretrain
from vicreg.study import builders, params

CPU = torch.device("cpu")
PARAMS = params.load()


def tiny(**study):
    sizes = {"width": 2, "projector_width": 8, "epochs": 3, "batch_size": 16, **study}
    studies = {"embedded": PARAMS.studies["embedded"].model_copy(update=sizes)}
    return PARAMS.model_copy(update={"studies": studies, "precision": "float32"})


def pictures(n=48):
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def trained(p, pixels, name="cifar_aug"):
    method = builders.build(p, name, pixels)
    return method, list(builders.train(p, name, method, pixels, CPU))


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_seed_others():
    (one, first), (two, _) = (trained(tiny(), pictures()) for _ in range(2))
    for key, value in one.state_dict().items():
        assert torch.equal(value, two.state_dict()[key]), key
    _other, second = trained(tiny().model_copy(update={"seed": 1}), pictures())
    assert first[-1]["loss"] != second[-1]["loss"]


def test_training_lowers_the_loss_and_records_every_epoch():
    drawn = synthetic.load("shapes10", folder=None, scratch=Path(), fraction=0.004, seed=0)
    _, history = trained(tiny(epochs=6, width=4), drawn.pixels)
    assert [record["epoch"] for record in history] == list(range(1, 7))
    assert history[-1]["loss"] < history[0]["loss"]
    for record in history:
        weighted = 25 * record["invariance"] + 25 * record["variance"] + record["covariance"]
        assert record["loss"] == pytest.approx(weighted, rel=1e-4)


def test_global_randomness_does_not_reach_the_training():
    one, _ = trained(tiny(), pictures())
    p, pixels = tiny(), pictures()
    method = builders.build(p, "cifar_aug", pixels)
    torch.manual_seed(999)
    list(builders.train(p, "cifar_aug", method, pixels, CPU))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), method.state_dict().values(), strict=True))


class Scripted(nn.Module):
    """A method whose terms are what a test says, step by step."""

    def __init__(self, steps):
        super().__init__()
        self.weight, self.steps = nn.Parameter(torch.ones(1)), iter(steps)

    def forward(self, views):
        loss, variance, spread = next(self.steps)
        return {
            "loss": self.weight.sum() * loss,
            "variance": torch.tensor(variance),
            "embeddings": torch.linspace(-1, 1, 8).outer(torch.ones(3)) * spread,
        }


def run_scripted(steps, epochs=1):
    method = Scripted(steps)
    images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8)
    optimizer = torch.optim.SGD(method.parameters(), lr=0.0)
    generator = torch.Generator().manual_seed(0)
    return list(
        pretrain(
            method, images, Policy(), optimizer, lambda step: 1.0, epochs=epochs, batch_size=4, generator=generator
        )
    )


def test_a_term_that_becomes_nan_stops_the_run_and_says_which_when_and_what_helps():
    with pytest.raises(TrainingError, match=r"epoch 2, step 2 of 2: not finite: variance") as error:
        run_scripted([(1.0, 0.1, 1.0)] * 3 + [(1.0, math.nan, 1.0)], epochs=2)
    assert "optimizer.base_lr" in str(error.value)


def test_collapsed_embeddings_stop_the_run_and_say_what_helps():
    with pytest.raises(TrainingError, match="epoch 1: the embeddings collapsed") as error:
        run_scripted([(1.0, 0.99, 0.5), (1.0, 0.99, 0.001)])
    assert "0.990" in str(error.value) and "vicreg.variance" in str(error.value)


def test_without_the_variance_term_the_embeddings_really_collapse():
    p = tiny(epochs=40, batch_size=16)
    method = p.vicreg.model_copy(update={"variance": 0.0, "covariance": 0.0})
    p = p.model_copy(update={"vicreg": method, "optimizer": p.optimizer.model_copy(update={"base_lr": 0.1})})
    with pytest.raises(TrainingError, match="collapsed"):
        trained(p, pictures())


def test_the_indicators_of_collapse_are_recorded_at_the_end_of_each_epoch():
    _, history = trained(tiny(), pictures())
    for record in history:
        assert record["embedding_std"] > 0 and 0 <= record["embedding_correlation"] <= 1
        assert 1 <= record["effective_rank"] <= 8


@pytest.mark.parametrize("said", ["CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED", None])
def test_running_out_of_memory_says_which_batch_was_tried(said):
    with pytest.raises(TrainingError, match=r"memory ran out with batch_size = 4 ") as error, explained_memory(4):
        if said:
            raise RuntimeError(said)
        torch.zeros(1 << 50, dtype=torch.float64)
    assert "smaller `studies.<study>.batch_size`" in str(error.value)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), explained_memory(4):
        raise RuntimeError("shapes differ")


def test_means_are_over_the_steps_of_an_epoch():
    (record,) = run_scripted([(1.0, 0.2, 1.0), (3.0, 0.4, 1.0)])
    assert record["loss"] == pytest.approx(2.0) and record["variance"] == pytest.approx(0.3)


def test_fewer_images_than_a_batch_are_a_clear_error():
    with pytest.raises(ValueError, match="batch_size is 64, but there are only 48 images"):
        trained(tiny(batch_size=64), pictures())


def test_cosine_rises_linearly_then_falls_as_half_a_cosine_to_its_final_share():
    factor = optimizers.schedule(
        name="cosine", steps_per_epoch=10, epochs=10, warmup=0.1, final=0.01, switch_epoch=0, switch_factor=1
    )
    assert [factor(step) for step in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert factor(10) == pytest.approx(1.0)
    assert factor(55) == pytest.approx((1 + 0.01) / 2)
    assert factor(100) == pytest.approx(0.01)


def test_the_reports_two_phases_are_1e_4_for_30_epochs_and_then_1e_5():
    factor = optimizers.schedule(
        name="two_phase", steps_per_epoch=5, epochs=50, warmup=0.1, final=0, switch_epoch=30, switch_factor=0.1
    )
    assert [1e-4 * factor(step) for step in (0, 149, 150, 249)] == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])


def test_the_peak_rate_scales_with_the_batch():
    rates = [optimizers.peak_lr(0.1, scaling, 1024) for scaling in ("linear", "sqrt", "none")]
    assert rates == pytest.approx([0.4, 0.2, 0.1])


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "lars"])
def test_every_optimizer_spares_biases_and_norms_from_weight_decay(name):
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    nn.init.ones_(model.get_parameter("0.bias"))
    optimizer = optimizers.build(model, name=name, lr=0.1, weight_decay=0.5, momentum=0.9, trust_coefficient=0.001)
    before = {key: value.clone() for key, value in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for key, value in model.named_parameters():
        assert torch.equal(value, before[key]) == (value.ndim == 1 or (name == "lars" and not value.any())), key


@pytest.mark.parametrize("decay", [0.01, 0.0])
def test_lars_steps_as_its_paper_says(decay):
    layer = nn.Linear(4, 3, bias=False)
    optimizer = optimizers.build(layer, name="lars", lr=0.2, weight_decay=decay, momentum=0.0, trust_coefficient=0.001)
    weight, gradient = layer.weight.detach().clone(), torch.randn(3, 4)
    layer.weight.grad = gradient.clone()
    optimizer.step()
    trust = 0.001 * weight.norm() / (gradient.norm() + decay * weight.norm())
    torch.testing.assert_close(layer.weight.detach(), weight - 0.2 * trust * (gradient + decay * weight))


def test_auto_chooses_a_device_that_is_there_and_a_wrong_one_is_a_clear_error():
    assert devices.choose_device("auto").type in {"cpu", "cuda", "mps"}
    assert devices.choose_dtype("float32", CPU) == torch.float32
    assert devices.choose_dtype("auto", CPU) in {torch.float32, torch.bfloat16}
    with pytest.raises(ValueError, match=r"device = 'cuda:77' cannot be used here"):
        devices.choose_device("cuda:77")
