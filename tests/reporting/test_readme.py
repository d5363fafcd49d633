"""The README: its results are a study's, and what it names is there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from vicreg.reporting.tables import overview

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BEGIN, END = "<!-- results of {}: made by tests/reporting/test_readme.py -->", "<!-- end of results -->"


def replaced(readme: str, study: str, metrics: dict[str, Any]) -> str:
    """Return the README with the part between a study's marks made anew."""
    begin = BEGIN.format(study)
    before, rest = readme.split(begin)
    return f"{before}{begin}\n\n{overview(metrics)}\n\n{END}{rest.partition(END)[2]}"


@pytest.mark.parametrize("study", ["cifar", "cifar_small", "cifar_methods"])
def test_the_result_table_is_made_from_the_committed_report(study):
    metrics = json.loads((ROOT / f"reports/{study}/metrics.json").read_text(encoding="utf-8"))
    expected = replaced(README, study, metrics)
    assert expected == README, f"the README's results should be\n{overview(metrics)}"


def test_a_number_in_the_table_is_a_rounded_one_of_metrics():
    linear = {"top1": 0.80249, "top1_low": 0.79, "top1_high": 0.81251, "top5": 0.99, "gain": 0.50249}
    metrics = {
        "cifar10": {"x": {"linear": linear}, "paper": {"not_run": "no weights"}},
        "study": {"datasets": {"cifar10": {"name": "CIFAR-10"}}},
    }
    header, _, first, second = overview(metrics).splitlines()
    assert "CIFAR-10" in header
    assert "80.2 (79.0 – 81.3), +50.2" in first
    assert second.split("|")[2].strip() == "not run"


PATHS = set(re.findall(r"`((?:vicreg|stages|tests|reports)/[\w./]*)`", README))


def test_the_example_of_a_method_is_one_of_the_methods():
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert block in (ROOT / "vicreg/methods/barlow_twins.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(PATHS))
def test_every_path_that_the_readme_names_exists(path):
    assert (ROOT / path).exists()
