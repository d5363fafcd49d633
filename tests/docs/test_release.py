"""CHANGELOG.md and CITATION.cff speak of the version that pyproject.toml has."""

import tomllib

from pages import ROOT

from vicreg.io import yaml

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.load(ROOT / "CITATION.cff")
    assert citation["version"] == PROJECT["version"]
    assert citation["title"].startswith(PROJECT["name"])
    assert {"cff-version", "message", "authors"} <= citation.keys()


def test_the_changes_begin_with_this_version() -> None:
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert changes.partition("\n## ")[2].startswith(PROJECT["version"])
