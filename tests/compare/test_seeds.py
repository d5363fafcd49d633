"""Seeds: the reports of one study with several of them, as one table with the spread."""

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import digest
from typer.testing import CliRunner

from vicreg.cli import main
from vicreg.compare import seeds as repetitions
from vicreg.compare.reports import Report, parse

TOP1: dict[int, dict[str, float | None]] = {
    0: {"random": 0.2, "imagenet_aug": 0.5, "cifar_aug": 0.8, "resnet50_paper": None},
    1: {"random": 0.3, "imagenet_aug": 0.6, "cifar_aug": 0.7, "resnet50_paper": None},
    2: {"random": 0.1, "imagenet_aug": 0.7, "cifar_aug": 0.6, "resnet50_paper": None},
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def metrics(scores: Mapping[str, float | None], seed: int) -> dict[str, Any]:
    """A metrics.json with these top-1 accuracies of encoders, of two probes on two datasets; None did not run."""

    def encoder(top1: float | None) -> dict[str, Any]:
        if top1 is None:
            return {"not_run": "not run: `pretrained.weights` names no file"}
        score = {"top1": top1, "top1_low": top1 - 0.05, "top1_high": top1 + 0.05, "top5": 0.9}
        return {probe: score | {"gain": top1 - (scores["random"] or 0)} for probe in ("linear", "knn")}

    datasets = {
        key: {"name": name, "genuine": True, "classes": classes, "images": {}, "fingerprints": {"train": "ab12"}}
        for key, name, classes in (("cifar10", "CIFAR-10", 10), ("cifar100", "CIFAR-100", 100))
    }
    facts = {"name": "made_up", "source": "official", "protocol": "report", "seed": seed, "datasets": datasets}
    facts |= {"sizes": {"source": "official", "width": 8, "epochs": 3}, "device": "cpu: X", "commit": "abc1234"}
    facts |= {"versions": {"python": "3.11.0"}, "seconds": {"pretrain-x": 2.5, "total": 2.5}}
    return {key: {name: encoder(top1) for name, top1 in scores.items()} for key in datasets} | {"study": facts}


def written(name: str, seed: int, scores: Mapping[str, float | None] | None = None, /, **facts: Any) -> dict[str, Any]:
    """Write the report of a study with this seed into a folder; return what its metrics.json holds."""
    content = metrics(TOP1[seed] if scores is None else scores, seed)
    content["study"] |= facts
    Path(name).mkdir()
    Path(name, "metrics.json").write_text(json.dumps(content), encoding="utf-8")
    return content


def seeds(*arguments: str, status: int = 0) -> str:
    found = CliRunner().invoke(main.app, ["seeds", *arguments])
    assert found.exit_code == status, found.output
    return " ".join(found.output.split())


def test_the_table_has_each_seed_their_mean_and_their_spread() -> None:
    for seed in (2, 0, 1):
        written(f"s{seed}", seed)
    seeds("s2", "s0", "s1", "--out", "out")
    text = Path("out.md").read_text(encoding="utf-8")
    found = {
        (cells[1], cells[2].strip("`")): cells[3:-1]
        for cells in ([cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("|"))
    }
    for encoder in ("imagenet_aug", "cifar_aug"):
        top1, base = (np.array([TOP1[seed][name] for seed in (0, 1, 2)], float) for name in (encoder, "random"))
        each, spread, top5, gain = found["linear", encoder]
        assert each == ", ".join(f"{100 * value:.1f}" for value in top1)
        assert spread == f"{100 * top1.mean():.1f} ± {100 * top1.std(ddof=1):.1f}"
        assert top5 == "90.0 ± 0.0"
        assert gain == f"{100 * (top1 - base).mean():+.1f} ± {100 * (top1 - base).std(ddof=1):.1f}"
    assert found["linear", "random"][-1] == "baseline"
    # 0.8 - 0.5, 0.7 - 0.6, 0.6 - 0.7: mean 0.1, deviation 0.2; t with 2 degrees of freedom is 4.303
    assert "on average `cifar_aug` is +10.0 points ahead of `imagenet_aug`" in text
    assert f"over seeds -39.7 to +{10 + 4.303 * 20 / 3**0.5:.1f}" in text
    assert "it holds 0, so this may be chance" in text
    assert "with 2 of 3 seeds" in text
    assert "Drawn pictures" not in text
    lines = Path("out.tex").read_text(encoding="utf-8").splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    cells = [cell.strip(" \\") for line in lines if line.startswith(r" cifar\_aug") for cell in line.split("&")]
    assert cells == [r"cifar\_aug", found["linear", "cifar_aug"][1], found["linear", "cifar_aug"][1]]


def test_the_interval_of_a_mean_covers_it_19_times_in_20() -> None:
    rng = np.random.default_rng(0)
    intervals = np.array([repetitions.mean_interval(pd.Series(rng.normal(0.5, 0.1, 3))) for _ in range(2000)])
    assert 0.93 < ((intervals[:, 0] < 0.5) & (intervals[:, 1] > 0.5)).mean() < 0.97
    assert repetitions.mean_interval(pd.Series([0.25, 0.25])) == (0.25, 0.25)


def test_a_lead_that_seeds_confirm_is_no_chance() -> None:
    for seed, top1 in enumerate((0.7, 0.72, 0.71)):
        written(f"s{seed}", seed, {"random": 0.1, "a": top1, "b": top1 - 0.3 + seed / 1000})
    seeds("s0", "s1", "s2", "--out", "out")
    text = Path("out.md").read_text(encoding="utf-8")
    assert "with 3 of 3 seeds" in text
    assert "chance" not in text


def reports_of(*params: dict[str, Any] | None) -> list[Report]:
    """Reports with seeds 0, 1, ... of studies with these params.yaml."""
    return [
        replace(parse(f"s{seed}", "here", json.dumps(content).encode()), params=values)
        for seed, values in enumerate(params)
        for content in [metrics(TOP1[seed], seed)]
    ]


def test_parameters_other_than_the_seed_are_compared() -> None:
    one, other = ({"seed": seed, "aug": {"scale_min": scale}, "device": "cpu"} for seed, scale in ((1, 0.2), (2, 0.4)))
    repetitions.check(reports_of(None, one, {**one, "seed": 2, "device": "cuda"}))
    for reports in (reports_of(one, other), reports_of(None, one, other)):
        with pytest.raises(ValueError, match=r"they differ in aug\.scale_min \(0\.2 and 0\.4\)"):
            repetitions.check(reports)


def test_recipes_are_compared_but_for_seed_and_code() -> None:
    for seed, epochs in ((0, 3), (1, 3), (2, 4)):
        recipe = {"seed": seed, "code": str(seed), "device": "cpu", "epochs": epochs, "policy": {"name": "aug"}}
        written(f"s{seed}", seed, recipes={"cifar_aug": recipe})
    seeds("s0", "s1", "--out", "out")
    assert "not known beyond the encoders' recipes and the sizes" in Path("out.md").read_text(encoding="utf-8")
    assert "they differ in cifar_aug.epochs (3 and 4)" in seeds("s0", "s2", "--out", "x", status=1)


def test_what_is_not_known_to_be_the_same_is_told() -> None:
    known: dict[str, Any] = {"aug": {}}
    assert told(reports_of(known, known)) == []
    assert ["The parameters of s0 are not known" in said for said in told(reports_of(None, known))] == [True]
    reports = reports_of(known, known)
    reports[1].facts["commit"] = "0123456789"
    assert ["different code" in said for said in told(reports)] == [True]
    for report in reports:
        report.facts["evaluated_by"] = {"features": "c0de"}
    assert told(reports) == []
    reports[1].facts["evaluated_by"] = {"features": "0ther"}
    assert ["different code" in said for said in told(reports)] == [True]


def told(reports: list[Report]) -> list[str]:
    repetitions.write_seeds(reports, Path("told"))
    return [line for line in Path("told.md").read_text(encoding="utf-8").splitlines() if line.startswith(">")]


def test_without_the_linear_probe_another_is_drawn() -> None:
    for seed in (0, 1):
        report = written(f"s{seed}", seed)
        for dataset in ("cifar10", "cifar100"):
            for entry in report[dataset].values():
                entry.pop("linear", None)
        Path(f"s{seed}", "metrics.json").write_text(json.dumps(report), encoding="utf-8")
    seeds("s0", "s1", "--out", "out")
    assert "top-1 of the knn probe" in Path("out.svg").read_text(encoding="utf-8")
    assert "Knn probe: on average" in Path("out.md").read_text(encoding="utf-8")


def test_a_report_without_numbers_is_refused() -> None:
    for seed in (0, 1):
        written(f"s{seed}", seed, {"random": None, "b": None})
    assert "s0/metrics.json holds no accuracies" in seeds("s0", "s1", "--out", "out", status=1)
    assert not list(Path().glob("out*"))


@pytest.mark.parametrize(("score", "value"), [("top1", float("nan")), ("top5", "0.5"), ("top1_low", None)])
def test_scores_that_are_no_numbers_are_an_error(score: str, value: object) -> None:
    written("a", 0)
    report = written("b", 1)
    report["cifar10"]["cifar_aug"]["linear"][score] = value
    Path("b", "metrics.json").write_text(json.dumps(report), encoding="utf-8")
    assert "b/metrics.json is no metrics.json of a study" in seeds("a", "b", "--out", "out", status=1)


def test_the_csv_has_every_number() -> None:
    held = {seed: written(f"s{seed}", seed) for seed in (0, 1)}
    seeds("s0", "s1", "--out", "out")
    with Path("out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * 2 * 3  # datasets, seeds, probes, encoders that ran
    for row in rows:
        expected = held[int(row["seed"])][row["dataset"]][row["encoder"]][row["probe"]]
        assert float(row["top1"]) == expected["top1"]
        assert float(row["gain"]) == expected["gain"]


def test_the_figure_shows_the_mean_and_repeats_itself() -> None:
    for seed in (0, 1):
        written(f"s{seed}", seed)
    seeds("s0", "s1", "--out", "one")
    seeds("s1", "s0", "--out", "two")
    for ending in ("svg", "png", "csv", "md"):
        assert digest(Path(f"one.{ending}")) == digest(Path(f"two.{ending}"))
    drawn = re.findall(r"<!-- (.+?) -->", Path("one.svg").read_text(encoding="utf-8"))
    assert {"75.0 ± 7.1", "55.0 ± 7.1", "25.0 ± 7.1", "cifar_aug"} <= set(drawn)


def test_drawn_pictures_are_told() -> None:
    for seed in (0, 1):
        written(f"s{seed}", seed, source="synthetic")
    seeds("s0", "s1", "--out", "out")
    assert "Drawn pictures, not CIFAR" in Path("out.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 0}, "'a' and 'b' have the same seed: name one of them"),
        ({"name": "other"}, "they differ in study (made_up and other)"),
        ({"protocol": "standard"}, "they differ in protocol (report and standard)"),
        ({"sizes": {"source": "official", "width": 8, "epochs": 4}}, "they differ in epochs (3 and 4)"),
    ],
)
def test_what_differs_in_more_than_its_seed_is_refused(changes: dict[str, Any], message: str) -> None:
    written("a", 0)
    written("b", 1, **changes)
    assert message in seeds("a", "b", "--out", "out", status=1)
    assert not list(Path().glob("out*"))


def test_other_images_other_encoders_and_no_seed_are_refused() -> None:
    written("a", 0)
    report = written("images", 1)
    report["study"]["datasets"]["cifar10"]["fingerprints"]["train"] = "ef56"
    Path("images", "metrics.json").write_text(json.dumps(report), encoding="utf-8")
    assert "they differ in images.cifar10.train (ab12 and ef56)" in seeds("a", "images", "--out", "x", status=1)
    written("encoders", 1, {"random": 0.2, "cifar_aug": 0.7})
    message = seeds("a", "encoders", "--out", "x", status=1)
    assert "not the same encoders and probes: not all have cifar10 linear imagenet_aug" in message
    del report["study"]["seed"]
    Path("images", "metrics.json").write_text(json.dumps(report), encoding="utf-8")
    assert "images/metrics.json does not tell its seed" in seeds("a", "images", "--out", "x", status=1)
    report["study"]["seed"] = True
    Path("images", "metrics.json").write_text(json.dumps(report), encoding="utf-8")
    assert "images/metrics.json does not tell its seed" in seeds("a", "images", "--out", "x", status=1)
    written("b", 1)
    assert "is a folder" in seeds("a", "b", "--out", ".", status=1)
    assert "one seed has no spread" in seeds("a", "--out", "x", status=1)
