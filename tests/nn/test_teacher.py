"""A teacher follows a network as a moving average, and gets no gradient."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from vicreg.nn.teacher import Momentum, Teacher


def test_a_teacher_is_a_copy_that_follows() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    teacher: Any = Teacher(*network)
    assert not any(p.requires_grad for p in teacher.parameters())
    before, statistics = copy.deepcopy(teacher), teacher[1].running_mean.clone()
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(2).add_(1)
    network(torch.randn(8, 3))
    teacher.update(*network, momentum=0.75)
    for old, new, current in zip(before.parameters(), teacher.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * current)
    assert torch.equal(teacher[1].running_mean, statistics)  # batch norm keeps statistics of its own


def test_momentum_runs_half_a_cosine() -> None:
    momenta = [Momentum(momentum=0.9).momentum_at(progress) for progress in (0, 0.5, 1)]
    assert momenta == pytest.approx([0.9, 0.95, 1.0])
    assert Momentum(momentum=0.9, momentum_end=0.9).momentum_at(0.3) == pytest.approx(0.9)
