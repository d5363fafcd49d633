"""Devices: threads, precision and processes as parameters say."""

import os
from collections.abc import Iterator

import pytest
import torch

from vicreg.engine import devices


@pytest.fixture(autouse=True)
def threads_stay() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_threads_are_a_parameter() -> None:
    devices.set_threads(3, print)
    assert torch.get_num_threads() == 3
    devices.set_threads("auto", print)
    assert torch.get_num_threads() == 3


def test_busy_cores_are_warned_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "getloadavg", lambda: (5.0, 0.0, 0.0))
    devices.set_threads(4, lines.append)
    [line] = lines
    assert "5 other tasks keep 4 cores busy; fewer `threads` may be faster than 4" in line
    devices.set_threads(1, lines.append)
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0, 0.0, 0.0))
    devices.set_threads(4, lines.append)
    assert lines == [line]
