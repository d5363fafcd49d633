"""A study as its report needs it: plain data that the stages left behind, gathered in one place."""

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np

from vicreg.data.images import Images, fingerprints
from vicreg.study.paths import ROLES, Paths

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib", "dvc", "mlflow")
STATES = ("not_run", "collapsed")  # what a row has, with the reason in words, instead of numbers
STAGES = {"pretrain": "pretraining", "linear_eval": "evaluations", "pair_loss": "pair_losses", "neighbors": "neighbors"}
JUDGES = ("judge", "fine_tune", "transfer")

Results = dict[str, dict[str, Any]]  # by row, in the order of params.yaml, as a stage wrote them
Split = Mapping[str, np.ndarray]  # positions by "primary/pretrain" and so on


@dataclass(frozen=True)
class Dataset:
    """One dataset of a study.

    role: "primary" or "transfer"; key: its name in params.yaml; name: what tables and figures call it.
    genuine: True only for complete CIFAR data; synthetic: True for pictures that were drawn.
    classes: their names, by label, none where images have no labels; subsets: numbers of images, by the split's names.
    fingerprints: hex SHA-256 of each official split's content.
    """

    role: str
    key: str
    name: str
    genuine: bool
    synthetic: bool
    classes: tuple[str, ...]
    subsets: dict[str, int]
    fingerprints: dict[str, str]


@dataclass(frozen=True)
class Study:
    """All that one report says. A row is an entry of `encoders` in params.yaml that ran in this study.

    sizes: the block of `studies` in params.yaml. params: all parameters that the report's settings hold.
    pretraining, evaluations, pair_losses, neighbors: a row that did not take part has one of `STATES` in its place.
    judging: of rows that were judged in more ways, by stage, what the stages JUDGES wrote.
    seconds: one entry per stage, {"stage", "seconds", "device"}.
    evaluated_by: digests of the stages' code that shapes accuracies. commit: of all code, None where there is no git.
    """

    name: str
    sizes: dict[str, Any]
    protocol: str
    seed: int
    datasets: tuple[Dataset, ...]
    pretraining: Results
    evaluations: Results
    pair_losses: Results
    neighbors: Results
    seconds: list[dict[str, Any]]
    versions: dict[str, str]
    evaluated_by: dict[str, str]
    commit: str | None
    params: dict[str, Any] = field(default_factory=dict)
    judging: Results = field(default_factory=dict)

    @property
    def rows(self) -> list[str]:
        """All rows, in the order of params.yaml."""
        return list(self.evaluations)

    @property
    def labeled(self) -> list[Dataset]:
        """The datasets that have labels, so that probes can be trained on them."""
        return [dataset for dataset in self.datasets if dataset.classes]

    @property
    def trained(self) -> Results:
        """The results of pretraining, of rows that trained in this study."""
        return {row: result for row, result in self.pretraining.items() if result.get("history")}

    @property
    def pretext(self) -> dict[str, float]:
        """By row how often it solved its own, pretext task after its training; of rows that have one."""
        return {row: result["pretext"] for row, result in self.trained.items() if "pretext" in result}

    @property
    def recipes(self) -> Results:
        """All that shaped each row, as far as it is known."""
        return {row: result["recipe"] for row, result in self.pretraining.items() if "recipe" in result}

    @property
    def forms(self) -> dict[str, list[str]]:
        """The rows by the form of their encoders that is evaluated, where their methods have several."""
        forms: dict[str, list[str]] = {}
        for row, recipe in self.recipes.items():
            if form := recipe["method"].get("representation"):
                forms.setdefault(form, []).append(row)
        return forms

    @property
    def devices(self) -> list[str]:
        """The hardware of the stages, each once."""
        return sorted({entry["device"] for entry in self.seconds})

    def by_method(self, results: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Group results by the method of their row: losses of different methods have nothing in common."""
        groups: dict[str, dict[str, Any]] = {}
        for row, result in results.items():
            method = self.recipes[row]["method"]["name"] if row in self.recipes else "unknown method"
            groups.setdefault(method, {})[row] = result
        return groups


def gather(settings: dict[str, Any], data: Mapping[str, Images], split: Split, commit: str | None) -> Study:
    """Bring together what the stages wrote for the rows of the report's settings; other files are passed over.

    data: images by role. Raises ValueError that names the stage to run where one did not run yet.
    """
    rows, paths = settings["rows"], Paths(settings["study"])
    results: dict[str, Any] = {name: _results(paths, stage, rows) for stage, name in STAGES.items()}
    pretraining = results["pretraining"].items()
    results["evaluations"] |= {row: {"collapsed": r["collapsed"]} for row, r in pretraining if "collapsed" in r}
    return Study(
        name=settings["study"],
        **{key: settings[key] for key in ("sizes", "protocol", "seed", "params", "evaluated_by")},
        datasets=tuple(describe(data[role], role, key, split) for role, key in settings["datasets"].items()),
        seconds=_seconds(paths, {"", *rows, *ROLES}, settings["judged"]),
        versions={"python": platform.python_version(), **{name: metadata.version(name) for name in PACKAGES}},
        commit=commit,
        judging=_judging(paths, settings["judged"]),
        **results,
    )


def _results(paths: Paths, stage: str, rows: list[str]) -> Results:
    files = {row: paths.result(f"{stage}-{row}") for row in rows}
    for row, file in files.items():
        if not file.exists():
            raise ValueError(f"{file} does not exist; run `dvc repro {stage}@{row}` first")
    return {row: json.loads(file.read_text(encoding="utf-8")) for row, file in files.items()}


def _judging(paths: Paths, rows: list[str]) -> Results:
    parts = {stage: _results(paths, stage, rows) for stage in JUDGES}
    return {row: {stage: results[row] for stage, results in parts.items()} for row in rows}


def _seconds(paths: Paths, current: set[str], judged: list[str]) -> list[dict[str, Any]]:
    """Read the seconds of all stages but those of rows and roles that the study no longer has, or no longer judges."""
    files = {file: file.stem.partition("-") for file in sorted(paths.result("seconds/any").parent.glob("*.json"))}
    now = [f for f, (stage, _, name) in files.items() if name in (judged if stage in JUDGES else current)]
    return [json.loads(file.read_text(encoding="utf-8")) for file in now]


def describe(images: Images, role: str, key: str, split: Split) -> Dataset:
    """Return what the report says about `images`."""
    subsets = {name.partition("/")[2]: len(part) for name, part in split.items() if name.startswith(f"{role}/")}
    facts = (images.name, images.genuine, images.synthetic, images.classes)
    return Dataset(role, key, *facts, subsets, fingerprints(images))
