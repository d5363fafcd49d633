"""A study's report, wherever it lies: in a folder, in a git revision or in a DVC experiment."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from vicreg.compare.frames import flatten, in_order
from vicreg.io import yaml
from vicreg.reporting.metrics import SCORES
from vicreg.tracking.provenance import git

FILE, HITS = "metrics.json", "hits.json"
CELL = ["dataset", "probe", "encoder"]  # what an accuracy is of


@dataclass(frozen=True)
class Report:
    """The metrics.json of a study, and its parameters.

    name: what the user called it; origin: where it was found, in words; facts: see `vicreg.reporting.metrics.facts`.
    scores: a row for each encoder that ran: dataset, probe, encoder, SCORES; gain, gain_low, gain_high may be missing.
    params: its params.yaml, None where none is certain to be its own.
    hits: its hits.json, see `vicreg.reporting.metrics.hits`; older reports have none.
    """

    name: str
    origin: str
    facts: dict[str, Any]
    scores: pd.DataFrame
    params: dict[str, Any] | None = None
    hits: dict[str, Any] = field(default_factory=dict)

    @property
    def datasets(self) -> dict[str, dict[str, Any]]:
        """By key, the name of each dataset, whether it is genuine, its images and fingerprints."""
        return self.facts["datasets"]

    @property
    def fingerprints(self) -> dict[str, Any]:
        """By dataset, those of genuine images: drawn ones, and parts of CIFAR, are others with another seed."""
        return {key: d["fingerprints"] if d["genuine"] else "not genuine" for key, d in self.datasets.items()}

    @property
    def synthetic(self) -> bool:
        """Whether this project drew the images."""
        return self.facts.get("source") == "synthetic"

    @property
    def code(self) -> Any:
        """What tells apart the code behind the accuracies: its digests, of older reports the commit."""
        by_row = {row: recipe.get("code") for row, recipe in sorted(self.facts["recipes"].items())}
        return (self.facts["evaluated_by"], by_row) if "evaluated_by" in self.facts else self.facts.get("commit")

    @property
    def settings(self) -> dict[str, Any]:
        """The study's name, protocol, seed and sizes, by dotted keys."""
        about = {"study": self.facts.get("name")} | {key: self.facts.get(key) for key in ("protocol", "seed")}
        return flatten(about | self.facts.get("sizes", {}))


def parse(name: str, origin: str, data: bytes, params: dict[str, Any] | None = None) -> Report:
    """Return the report in the bytes of a metrics.json; raises ValueError, naming `origin`, where it is another file.

    params: those that may be its own, and count where the report has the same study, seed, protocol and sizes.
    """
    try:
        content = json.loads(data)
        facts = {"recipes": {}} | content["study"]  # how each encoder was trained, which older reports do not tell
        rows = [
            {"dataset": dataset, "probe": probe, "encoder": encoder, **numbers}
            for dataset in facts["datasets"]
            for encoder, entry in content[dataset].items()
            for probe, numbers in entry.items()
            if isinstance(numbers, dict)  # else it says why there are none
        ]
        scores = pd.DataFrame(rows, columns=[*CELL, *SCORES, "gain", "gain_low", "gain_high"])
        if not (scores[list(SCORES)] >= 0).all(axis=None):
            raise ValueError("an accuracy is no number")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{origin} is no metrics.json of a study ({error!r}): run `dvc repro report`") from error
    report, params = Report(name, origin, facts, in_order(scores, CELL[:2])), params or {}
    own = flatten(params | params.get("studies", {}).get(params.get("study"), {}))
    same = all(own.get(key) == value for key, value in report.settings.items() if key != "source")
    return replace(report, params=params) if same else report


def find(given: str) -> Report:
    """Return the report that `given` names; raises ValueError that says what it could have been.

    given: a folder that holds metrics.json, the name of a study in reports/, a DVC experiment, a git revision, or
    REVISION:FOLDER for another folder than that of the revision's own study.
    """
    current = Path("params.yaml")
    for file in (Path(given, FILE), Path("reports", given, FILE)):
        if file.is_file():
            params = yaml.load(current) if file.parts[0] == "reports" and current.is_file() else None
            other = file.with_name(HITS)
            hits = json.loads(other.read_bytes()) if other.is_file() else {}
            return replace(parse(given, str(file), file.read_bytes(), params), hits=hits)
    revision, _, folder = given.partition(":")
    commit = experiment(revision) or git("rev-parse", "-q", "--verify", "--end-of-options", f"{revision}^{{commit}}")
    if not commit:
        studies = ", ".join(sorted(file.parent.name for file in Path("reports").glob(f"*/{FILE}"))) or "none"
        raise ValueError(f"{given!r} is no folder with {FILE}, study, revision or experiment; studies here: {studies}")
    params = yaml.loads(git("show", f"{commit}:./params.yaml") or "", f"params.yaml of {given}") or {}
    where = folder.strip("/") or f"reports/{params.get('study', 'STUDY')}"
    path, hits = f"{where}/{FILE}", git("show", f"{commit}:./{where}/{HITS}") or "{}"
    if not (content := git("show", f"{commit}:./{path}")):
        raise ValueError(f"{given!r} (commit {commit[:10]}) holds no {path}: commit it, or write {revision}:FOLDER")
    return replace(parse(given, f"{path} of commit {commit[:10]}", content.encode(), params), hits=json.loads(hits))


def experiment(name: str) -> str | None:
    """The commit of the DVC experiment of this name, None where there is none; raises ValueError for several."""
    commits = set((git("for-each-ref", "--format=%(objectname)", f"refs/exps/*/*/{name}") or "").split())
    if len(commits) > 1:
        some = ", ".join(sorted(commits))
        raise ValueError(f"{len(commits)} experiments are called {name!r}: name the commit of one, {some}")
    return next(iter(commits), None)
