"""How each row was trained, and how to make the report again, come from recipes and parameters."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import study_fakes as fakes

from vicreg.reporting import content, recipes, reproduce
from vicreg.reporting.metrics import metrics
from vicreg.reporting.page.html import say

LARS = {"name": "lars", "base_lr": 0.3, "momentum": 0.9}
POLICIES = {
    "a": {"name": "aug", "flip": 0.5, "blur": [0.0, 0.0]},
    "b": {"name": "other", "flip": 0.5, "blur": [1.0, 0.1]},
}


def cells(rows: recipes.Settings) -> list[list[str]]:
    table = recipes.table(rows)
    assert table is not None
    return [list(table.texts), *(list(row) for row in table.rows)]


def test_what_differs_is_in_the_table_and_the_rest_in_sentences() -> None:
    rows = {
        "random": {"row": "random", "seed": 0, "code": "1", "method": {"name": "random_init"}},
        "a": {
            "row": "a",
            "seed": 0,
            "code": "2",
            "method": {"name": "x", "t": 1},
            "policy": POLICIES["a"],
            "optimizer": LARS,
        },
        "b": {
            "row": "b",
            "seed": 0,
            "code": "2",
            "method": {"name": "x", "t": 2},
            "policy": POLICIES["b"],
            "optimizer": LARS,
        },
    }
    assert recipes.shared(rows) == [
        "All rows: seed 0.",
        "`a`, `b`: optimizer `lars` (base lr 0.3, momentum 0.9).",
        "policy `aug`, `other` (flip 0.5).",
    ]
    assert cells(rows) == [
        ["encoder", "method", "policy"],
        ["`random`", "`random_init`", "none"],
        ["`a`", "`x`, t 1", r"`aug`, blur \[0.0, 0.0\]"],
        ["`b`", "`x`, t 2", r"`other`, blur \[1.0, 0.1\]"],
    ]


def test_an_overridden_number_of_one_row_is_in_its_cell() -> None:
    rows = {"a": {"optimizer": LARS, "epochs": 10}, "b": {"optimizer": LARS | {"base_lr": 0.06}, "epochs": 20}}
    assert recipes.shared(rows) == ["optimizer `lars` (momentum 0.9)."]
    assert cells(rows)[1:] == [["`a`", "`lars`, base lr 0.3", "10"], ["`b`", "`lars`, base lr 0.06", "20"]]


def test_one_row_alone_needs_no_table() -> None:
    assert recipes.table({"a": {"seed": 0, "epochs": 3}}) is None
    assert recipes.shared({"a": {"seed": 0, "epochs": 3}}) == ["All rows: seed 0, epochs 3."]
    assert recipes.shared({}) == [] and recipes.table({}) is None


def test_recipes_are_in_the_metrics() -> None:
    report = fakes.study()
    assert metrics(report)["study"]["recipes"] == {row: fakes.recipe(row) for row in report.rows}


PARAMS = """
study: embedded
seed: 0
protocol: report
aug: {scale_min: 0.2, flip: 0.5, blur: [0.0, 0.1]}
optimizer: {name: lars, weight_decay: 1e-06}
datasets:
  photos: {source: folder, folder: null}
"""


@pytest.fixture
def commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository with one commit, in which this process works."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS, encoding="utf-8")
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"]):
        subprocess.run(["git", *command], check=True)
    Path("params.yaml").write_text("seed: 5\n", encoding="utf-8")  # as it is now says nothing
    return subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


def test_every_overridden_parameter_is_named(commit: str) -> None:
    params = {
        "aug": {"scale_min": 0.4, "flip": 0.5, "blur": [0.5, 0.1]},
        "optimizer": {"name": "lars", "weight_decay": 1e-6, "momentum": None},
        "datasets": {"photos": {"source": "folder", "folder": "/home/somebody"}},
        "encoders": {"new": {"method": "my method", "epochs": 3}},
    }
    report = replace(fakes.study(), name="embedded", seed=3, params=params, commit=commit)
    overrides = ["seed=3", "aug.scale_min=0.4", "aug.blur=[0.5,0.1]", "datasets.photos.folder=FOLDER"]
    overrides += ['++encoders.new.method="my method"', "++encoders.new.epochs=3"]
    assert reproduce.overrides(report) == overrides
    text = content.document(report)
    assert f"git checkout {commit}" in text and "-S aug.scale_min=0.4 -S 'aug.blur=[0.5,0.1]'" in text
    assert "every parameter that params.yaml has otherwise" in text and "somebody" not in text


def test_nothing_overridden_needs_no_option(commit: str) -> None:
    report = replace(fakes.study(), name="embedded", seed=0, commit=commit)
    assert reproduce.overrides(report) == []
    assert reproduce.commands(report, [])[1] == "uv run dvc exp run"


@pytest.mark.parametrize(
    ("known", "sentence"),
    [("0" * 40, "cannot be read here, so overridden parameters are not named"), (None, "No git commit is known")],
)
def test_an_unknown_commit_is_admitted(commit: str, known: str | None, sentence: str) -> None:
    report = fakes.study(commit=known)
    assert reproduce.overrides(report) is None
    assert sentence in content.document(report)


def test_a_network_is_told_by_its_depth_or_by_the_blocks_that_it_has_instead() -> None:
    backbone = {"name": "resnet", "depth": 18, "blocks": None, "width": 48}
    assert say("part_backbone", backbone) == "`resnet` of 18 layers of width 48"
    told = say("part_backbone", backbone | {"blocks": [1, 1, 2, 1]})
    assert told == "`resnet` with stages of 1, 1, 2, 1 blocks of width 48"
