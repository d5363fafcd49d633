"""Benchmarks: ours beside what people use today, in one run, because machines differ and are noisy.

Each is a module: `uv run python -m bench.views [--json FILE]`. Candidates take turns, round after round, so that a slow
minute slows all of them; a figure is the median over the rounds, with the least and the most.
"""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stages import processor


@dataclass(frozen=True)
class Rate:
    """Items per second over the rounds."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        return f"{self.median:,.0f} ({min(self.rounds):,.0f} to {max(self.rounds):,.0f})"


def interleave(candidates: Mapping[str, Callable[[], int]], rounds: int) -> dict[str, Rate]:
    """Let the candidates take turns; each call does some work and returns how many items that was.

    One turn before the first round warms up and is not counted.
    """
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        for name, work in candidates.items():
            start = time.perf_counter()
            items = work()
            if turn:
                found[name].append(items / (time.perf_counter() - start))
    return {name: Rate(tuple(rates)) for name, rates in found.items()}


def ratio(ours: Rate, theirs: Rate) -> float:
    """How many times faster: the median over the rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(ours.rounds, theirs.rounds, strict=True))


def hardware() -> str:
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{processor()}{gpu}; torch {torch.__version__.split('+')[0]}, Python {platform.python_version()}"


def report(title: str, headers: list[str], rows: list[list[str]], figures: dict[str, Any], file: Path | None) -> None:
    """Print a table and the figures, and write the figures to `file`."""
    from tabulate import tabulate

    print(f"\n{title}\n{hardware()}\n")
    print(tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True))
    for key, value in figures.items():
        print(f"{key}: {value}")
    if file:
        file.write_text(json.dumps({"title": title, "hardware": hardware(), **figures}, indent=1) + "\n")
