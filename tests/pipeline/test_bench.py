"""The benchmarks: fair turns, medians of ratios, and files with the promised keys."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import Rate, interleave, ratio

ROOT = Path(__file__).parents[2]


def test_candidates_take_turns_and_the_first_turn_does_not_count():
    turns: list[str] = []

    def work(name: str) -> int:
        turns.append(name)
        return 7

    rates = interleave({"a": lambda: work("a"), "b": lambda: work("b")}, rounds=3)
    assert turns == ["a", "b"] * 4
    assert all(len(rate.rounds) == 3 for rate in rates.values())


def test_a_ratio_is_the_median_of_those_within_a_round():
    ours, theirs = Rate((10.0, 40.0, 90.0)), Rate((10.0, 10.0, 30.0))
    assert ratio(ours, theirs) == 3.0
    assert ours.median == 40.0
    assert str(ours) == "40 (10 to 90)"


@pytest.mark.parametrize(
    ("name", "options", "keys"),
    [
        ("views", ["--images", "4"], {"views_per_second", "ratio_pil_per_core", "ratio_tensor_per_core"}),
        ("step", ["--widths", "2", "--batch-size", "8", "--batches", "1"], {"ratio_standard_loop", "views_share"}),
        ("methods", ["--width", "2", "--batch-size", "16", "--batches", "1"], {"own_share", "ratio_vicreg"}),
        ("limit", ["--widths", "2", "--batch-size", "8"], {"part_of_limit", "random_reads_per_second"}),
    ],
)
def test_a_benchmark_writes_its_figures(tmp_path, name, options, keys):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-m", f"bench.{name}", "--rounds", "1", "--json", str(file), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures = json.loads(file.read_text())
    assert keys <= figures.keys()
    assert figures["n"] == 1 and "torch" in figures["hardware"]
