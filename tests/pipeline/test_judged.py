"""Rows in `judged` get their stages and their chapter, and no other stage runs again but the report."""

import csv
from pathlib import Path

from conftest import Repository, change


def test_a_row_is_judged_by_one_parameter(finished_study: Repository, tmp_path: Path) -> None:
    repository = finished_study.copy(tmp_path / "repository")
    params = repository.folder / "params.yaml"
    change(params, "judged", ["random"])
    change(params, "few_labels.params", {"C": [0.1]})
    for key, value in {"fractions": [0.5], "draws": 1, "steps": 2, "batch_size": 8, "rates": [[0.1, 0.1]]}.items():
        change(params, f"fine_tuning.{key}", value)
    ran = repository.stages_run_by("repro")
    assert ran == {"recipes", "judge@random", "fine_tune@random", "transfer@random", "report"}
    report = repository.folder / "reports" / "embedded"
    assert "## More ways to judge" in (report / "comparison.md").read_text()
    with (report / "judging.csv").open() as stream:
        ways = [row["way"] for row in csv.DictReader(stream)]
    assert {way: ways.count(way) for way in ways} == {"depth": 10, "few labels": 4, "fine-tuning": 1}
    assert "not run: data absent" in (report / "comparison.md").read_text()
