"""A recorded step against the optimizer that it records; without a GPU, with a stand-in for CUDA's graphs."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn

from vicreg.engine import optimizers
from vicreg.engine.graphed_step import GraphedStep
from vicreg.engine.loop import set_lr


class TwoRates(nn.Module):
    """Two matrices, of which one keeps its peak rate."""

    fixed_lr = ("second",)

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 5, bias=False), nn.Linear(6, 5, bias=False)
        for seed, parameter in enumerate(self.parameters()):
            parameter.data = gradient(seed)


def gradient(seed: int) -> Tensor:
    return torch.randn(5, 6, generator=tiny.generator(seed))


def muon(model: nn.Module) -> torch.optim.Optimizer:
    return optimizers.build_optimizer(model, tiny.optimizer("muon", 0.5, weight_decay=0.1), 256)


def assert_moved_alike(ours: nn.Module, theirs: nn.Module) -> None:
    """Within bfloat16, in which Muon computes: a step at the peak learning rate moves each weight by about 0.1."""
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0.02)


@pytest.fixture
def recordings(monkeypatch: pytest.MonkeyPatch) -> list[GraphedStep]:
    """A stand-in for CUDA's graphs; what was recorded. As there, to record a step does not take it."""
    recorded = list[GraphedStep]()

    class Graph:
        def replay(self) -> None:
            GraphedStep._run(recorded[-1])

    @contextmanager
    def record(graph: Graph, **_: Any) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(GraphedStep, "_run", lambda step: recorded.append(step))
            yield

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", record)
    return recorded


def test_a_recorded_step_does_what_the_optimizer_does_at_each_rate(recordings: list[GraphedStep]) -> None:
    ours, theirs = TwoRates(), TwoRates()
    step, optimizer = GraphedStep(muon(ours)), muon(theirs)
    for i in range(12):
        for j, (a, b) in enumerate(zip(ours.parameters(), theirs.parameters(), strict=True)):
            b.grad = gradient(10 * i + j)
            if a.grad is None or (i == 6 and j):
                a.grad = b.grad.clone()  # somewhere else in the memory
            else:
                assert not a.grad.any()
                a.grad += b.grad  # as a backward pass does
        assert set_lr(step.optimizer, 1 - i / 20) == set_lr(optimizer, 1 - i / 20) == pytest.approx(0.5 * (1 - i / 20))
        step()
        optimizer.step()
        assert_moved_alike(ours, theirs)
        assert len(recordings) == (0 if i < 3 else 1 if i < 9 else 2)
    rates = [float(group["lr"]) for group in step.optimizer.param_groups if group["params"]]
    assert rates == pytest.approx([0.5 * (1 - 11 / 20), 0.5])


def test_it_goes_on_from_a_checkpoint() -> None:
    models = TwoRates(), TwoRates()
    steps = [GraphedStep(muon(model)) for model in models]
    for i in range(8):
        if i == 5:
            models[1].load_state_dict(models[0].state_dict())
            fresh = muon(models[1])
            fresh.load_state_dict(deepcopy(steps[0].optimizer.state_dict()))
            steps[1] = GraphedStep(fresh)
        for model, step in zip(models, steps, strict=True):
            for parameter in model.parameters():
                parameter.grad = gradient(i)
            set_lr(step.optimizer, 1 - i / 20)
            if model is models[0] or i >= 5:
                step()
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        assert torch.equal(a, b)


def test_only_optimizers_of_many_kernels_are_recorded() -> None:
    helped = {
        name: GraphedStep.helps(optimizers.build_optimizer(TwoRates(), tiny.optimizer(name), 256))
        for name in ("adam", "adamw", "sgd", "lars", "muon")
    }
    assert helped == {"adam": False, "adamw": False, "sgd": False, "lars": False, "muon": True}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA graphs need a GPU")
def test_on_a_gpu_too() -> None:
    ours, theirs = TwoRates().cuda(), TwoRates().cuda()
    step, optimizer = GraphedStep(muon(ours)), muon(theirs)
    for i in range(8):
        for j, (a, b) in enumerate(zip(ours.parameters(), theirs.parameters(), strict=True)):
            b.grad = gradient(10 * i + j).cuda()
            a.grad = b.grad.clone() if a.grad is None else a.grad.copy_(b.grad)
        assert set_lr(step.optimizer, 1 - i / 20) == set_lr(optimizer, 1 - i / 20)
        step()
        optimizer.step()
        assert_moved_alike(ours, theirs)
    assert step.graph is not None
