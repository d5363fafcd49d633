"""The README: its results are a study's, and what it names is there."""

import json
import re
from pathlib import Path

import pytest

from vicreg.reporting import readme

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_result_table_is_made_from_the_committed_report():
    metrics = json.loads((ROOT / "reports/cifar_small/metrics.json").read_text(encoding="utf-8"))
    expected = readme.replaced(README, metrics)
    assert expected == README, f"the README's results should be\n{readme.results(metrics)}"


def test_a_number_in_the_table_is_a_rounded_one_of_metrics():
    linear = {"top1": 0.80249, "top1_low": 0.79, "top1_high": 0.81251, "top5": 0.99, "gain": 0.50249}
    metrics = {
        "cifar10": {"x": {"linear": linear}, "paper": {"not_run": "no weights"}},
        "study": {"datasets": {"cifar10": {"name": "CIFAR-10"}}},
    }
    header, _, first, second = readme.results(metrics).splitlines()
    assert "CIFAR-10" in header
    assert "80.2 (79.0 – 81.3), +50.2" in first
    assert second.split("|")[2].strip() == "not run"


EXAMPLES = {"methods/toy.py", "backbones/resnet34.py", "sources/stl10.py", "probes/svm.py"}
PATHS = set(re.findall(r"`((?:vicreg|stages|tests|reports)/[\w./]*)`", README))


@pytest.mark.parametrize("path", sorted(PATHS - {f"vicreg/{example}" for example in EXAMPLES}))
def test_every_path_that_the_readme_names_exists(path):
    assert (ROOT / path).exists()
