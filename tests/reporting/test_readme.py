"""The tables of results in the README and in docs/results.md are those of the committed reports."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from vicreg.reporting.markdown import latex
from vicreg.reporting.tables import overview

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- results of {}: made by tests/reporting/test_readme.py -->", "<!-- end of results -->"


def replaced(page: str, study: str, metrics: dict[str, Any]) -> str:
    """Return a page with the part between a study's marks made anew."""
    begin = BEGIN.format(study)
    before, rest = page.split(begin)
    return f"{before}{begin}\n\n{overview(metrics)}\n\n{END}{rest.partition(END)[2]}"


@pytest.mark.parametrize(
    ("page", "study"),
    [
        ("README.md", "cifar"),
        ("README.md", "cifar_laptop"),
        ("docs/results.md", "cifar_laptop"),
        ("docs/results.md", "cifar"),
        ("docs/results.md", "cifar_small"),
        ("docs/results.md", "cifar_methods"),
    ],
)
def test_the_result_table_is_made_from_the_committed_report(page, study):
    metrics = json.loads((ROOT / f"reports/{study}/metrics.json").read_text(encoding="utf-8"))
    text = (ROOT / page).read_text(encoding="utf-8")
    assert replaced(text, study, metrics) == text, f"the results in {page} should be\n{overview(metrics)}"


def test_a_number_in_the_table_is_a_rounded_one_of_metrics():
    linear = {"top1": 0.80249, "top1_low": 0.79, "top1_high": 0.81251, "top5": 0.99, "gain": 0.50249}
    metrics: dict[str, Any] = {
        "cifar10": {"x_1": {"linear": linear}, "paper": {"not_run": "no weights"}},
        "study": {"datasets": {"cifar10": {"name": "CIFAR-10"}}},
    }
    header, _, first, second = overview(metrics).splitlines()
    assert "CIFAR-10" in header
    assert "80.2 (79.0 – 81.3), +50.2" in first
    assert second.split("|")[2].strip() == "not run"
    without_labels = {"both": {}, "study": {"datasets": {"both": {"name": "Both"}, **metrics["study"]["datasets"]}}}
    assert overview(metrics | without_labels) == overview(metrics)
    tex = overview(metrics, latex).splitlines()
    assert tex[0] == r"\begin{tabular}{lr}" and tex[-1] == r"\end{tabular}"
    assert [cell.strip() for cell in tex[4].rstrip("\\").split("&")] == [r"x\_1", "80.2 (79.0 – 81.3), +50.2"]


def test_the_example_of_a_method_is_one_of_the_methods():
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/how-to.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block in (ROOT / "vicreg/methods/barlow_twins.py").read_text(encoding="utf-8")
