"""Sides: a study's report wherever it lies, in a folder, in a git revision or in a DVC experiment."""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from vicreg.compare import metrics_file
from vicreg.compare.metrics_file import Metrics
from vicreg.io import yaml

FILE = "metrics.json"
OF_BOTH = {"study": "name", "seed": "seed", "protocol": "protocol"}  # in params.yaml, and in a report
STUDY = re.compile(r"^study:[ \t]*['\"]?([\w.-]+)", re.MULTILINE)  # in params.yaml


@dataclass(frozen=True)
class Side:
    """One of the studies that a page compares.

    name: what the person called it; origin: where its numbers were found, in words; params: its params.yaml as nested
    values, None where none is known to be its own.
    """

    name: str
    origin: str
    metrics: Metrics
    params: dict[str, Any] | None = None


def find(given: str) -> Side:
    """Return the study that `given` names; raises ValueError that says what it could have been.

    given: a folder that holds metrics.json, the name of a study in reports/, a DVC experiment, a git revision, or
    REVISION:FOLDER for another folder than that of the revision's own study.
    """
    for folder in (Path(given), Path("reports", given)):
        if (folder / FILE).is_file():
            return in_folder(given, folder / FILE)
    revision, _, folder_there = given.partition(":")
    commit = experiment(revision) or git(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
    )
    if not commit:
        raise ValueError(f"{given!r} is no folder with {FILE}, no study, no git revision and no experiment; {there()}")
    return in_commit(given, commit.strip(), folder_there)


def in_folder(given: str, file: Path) -> Side:
    with file.open("rb") as stream:
        data = stream.read(metrics_file.LARGEST_FILE + 1)
    metrics = metrics_file.parse(data, str(file))
    params = values(Path("params.yaml").read_text("utf-8")) if Path("params.yaml").is_file() else None
    own = params is not None and file.parts[:1] == ("reports",) and fits(params, metrics)
    return Side(given, str(file), metrics, params if own else None)


def fits(params: dict[str, Any], metrics: Metrics) -> bool:
    """Whether a report can be of these parameters: they have the study, seed, protocol and sizes that it tells of."""
    facts = metrics.facts
    if any(fact in facts and params.get(key) != facts[fact] for key, fact in OF_BOTH.items()):
        return False
    sizes = facts.get("sizes", {})
    try:
        block = params["studies"][params["study"]] if sizes else {}
        return all(block[key] == value for key, value in sizes.items())
    except (LookupError, TypeError):
        return False


def in_commit(given: str, commit: str, folder: str) -> Side:
    params = git("show", f"{commit}:./params.yaml")
    named = STUDY.search(params or "")
    study = named[1] if named else None
    if not folder and not study:
        raise ValueError(f"{given!r}: its params.yaml names no study; write {given}:FOLDER, a folder with {FILE}")
    place = f"{(folder or f'reports/{study}').strip('/')}/{FILE}"
    text = git("show", f"{commit}:./{place}")
    if text is None:
        raise ValueError(f"{given!r} (commit {commit[:10]}) holds no {place}: commit the reports, or {there()}")
    metrics = metrics_file.parse(text.encode(), f"{place} of {given}")
    known = values(params or "")
    return Side(given, f"{place} of commit {commit[:10]}", metrics, known if known and fits(known, metrics) else None)


def experiment(name: str) -> str | None:
    """The commit of the DVC experiment of this name, None where there is none; raises ValueError for several."""
    refs = [
        line.split()
        for line in (git("for-each-ref", "--format=%(objectname) %(refname)", "refs/exps/") or "").split("\n")
    ]
    found = {ref[0] for ref in refs if len(ref) == 2 and ref[1].count("/") == 4 and ref[1].rpartition("/")[2] == name}
    if len(found) > 1:
        commits = ", ".join(sorted(commit[:10] for commit in found))
        raise ValueError(f"{len(found)} experiments are called {name!r}: name the commit of one, {commits}")
    return found.pop() if found else None


def there() -> str:
    """What could have been named, in words."""
    studies = sorted(file.parent.name for file in Path("reports").glob(f"*/{FILE}"))
    return f"studies here: {', '.join(studies)}" if studies else "there is no study in reports/ here"


def values(text: str) -> dict[str, Any] | None:
    """The parameters in the text of a params.yaml; None where it is none."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "params.yaml")
        file.write_text(text, encoding="utf-8")
        try:
            found = yaml.read(file)
        except (OSError, ValueError, YAMLError):
            return None
    return found if isinstance(found, dict) else None


def git(*arguments: str) -> str | None:
    """What git prints; None where it fails, or is not there."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError, ValueError):  # the last for a name with a null character
        return None
    return done.stdout.decode("utf-8", "replace")
