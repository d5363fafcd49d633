"""The benchmarks: fair turns, medians of ratios, and files with the promised keys."""

import copy
import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Repository

from bench import Rate, interleave, learning, ratio
from bench.learning import changed, race
from bench.step import standard
from vicreg.study import params, recipe

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
        (
            "step",
            ["--widths", "2", "--batch-size", "8", "--batches", "1", "--workers", "0"],
            {"ratio_standard_loop", "views_share"},
        ),
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


def test_who_has_trained_the_least_trains_the_next_epoch(monkeypatch: pytest.MonkeyPatch):
    turns: list[str] = []
    lasts = {"quick": 2, "slow": 7}
    monkeypatch.setattr(learning.time, "perf_counter", lambda: sum(map(lasts.__getitem__, turns)))
    candidates: dict[str, Any] = {name: functools.partial(turns.append, name) for name in lasts}
    curves = race(candidates, {"quick": 5, "slow": 2}, lambda epoch: len(turns))
    assert turns[:6] == ["quick", "slow", "quick", "quick", "quick", "slow"]
    assert [len(curve) for curve in curves.values()] == [6, 3]
    assert [top1 for _, top1 in curves["slow"]] == [0, 2, 6]
    assert [seconds for seconds, _ in curves["slow"]] == [0, 7, 14]


def test_a_row_changes_of_it_and_the_standard_loop_learn_on_one_clock(finished_study: Repository, tmp_path: Path):
    """On the study's own images, from a folder where it lies."""
    (tmp_path / "changes.yaml").write_text("small views: {policy_params: {sizes: [[0, 8]]}, batch_size: 16}")
    options = ["--seconds", "0.1", "--workers", "0", "--changes", str(tmp_path / "changes.yaml")]
    options += ["--json", str(tmp_path / "figures.json"), "--figure", str(tmp_path / "a")]
    finished_study.run(sys.executable, "-m", "bench.learning", *options)
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert list(figures["curves"]) == ["small views", "cifar_aug", "the standard loop"]
    for curve in figures["curves"].values():
        assert len(curve) > 1 and curve[0][0] == 0 and all(0 <= top1 <= 1 for _, top1 in curve)
    assert (tmp_path / "a.svg").is_file() and (tmp_path / "a.png").is_file()


def test_the_standard_loop_has_the_views_and_the_loss_of_the_recipe():
    changes = {"method": "simclr", "policy_params": {"sizes": [[0, 8], [0.5, 16]]}, "epochs": 2, "batch_size": 4}
    row = changed(params.load(ROOT / "params.yaml"), "cifar_aug", changes)
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    epoch: Any = standard(row, pixels, torch.device("cpu"), 0, torch.float32)
    sizes: list[int] = []
    epoch.encoder.register_forward_pre_hook(lambda encoder, inputs: sizes.append(inputs[0].shape[-1]))
    before = copy.deepcopy(epoch.encoder.state_dict())
    assert [epoch(), epoch()] == [8, 8]
    assert sizes == [8] * 4 + [16] * 4
    after = epoch.encoder.state_dict()
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("conv1.weight"))


def test_a_change_says_one_thing_differently():
    p = params.load(ROOT / "params.yaml")
    own = recipe.resolve(p, "cifar_aug").values()
    other = changed(p, "cifar_aug", {"optimizer": {"base_lr": 9.0}}).values()
    assert other["optimizer"].pop("base_lr") == 9.0 != own["optimizer"].pop("base_lr")
    assert own == other
