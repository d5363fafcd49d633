"""What `dvc repro` would run, what differs from the last commit, and how to go back to it."""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from vicreg.io import errors, yaml
from vicreg.study import params, recipe
from vicreg.study.paths import Paths
from vicreg.tracking.provenance import git

FILES = ("params.yaml", "dvc.lock", "recipes", "reports")  # of git, that an experiment changes
JUDGING = ("judge", "fine_tune", "transfer")  # stages of the rows in `judged` alone
BACK = """\
rm -r params.yaml dvc.lock recipes reports; git checkout HEAD -- params.yaml dvc.lock reports
git checkout HEAD -- recipes; uv run dvc checkout"""


def lines() -> Iterator[str]:
    """The status of the repository in the current folder; raises ValueError where DVC has an error."""
    try:
        yield from plan(params.load())
    except params.ParamsError as error:
        yield errors.pasteable(f"`dvc repro` would fail: {error}")
    if files := uncommitted():
        yield f"\nNot as in the last commit: {', '.join(files)}."
        yield 'To keep this: git add -A && git commit -m "..." (or uv run dvc exp save --name NAME).'
        yield f"To go back, which drops it:\n\n{BACK}"


def plan(p: params.Params) -> Iterator[str]:
    """Which study it is, and what would run of it."""
    yield f"Study {p.study}; rows {', '.join(p.rows)}."
    if stages := stages_to_run(p):
        yield "\n`uv run dvc repro` would run, and then what depends on what these change:"
        yield from (f"  {reason}: {', '.join(names)}" for reason, names in by_reason(stages, p.rows).items())
    else:
        yield "\n`uv run dvc repro` would run nothing: all results are there."


def stages_to_run(p: params.Params) -> dict[str, str]:
    """Why each stage would run, by DVC's name of it: what DVC says, and what its first stage would change."""
    dvc = [sys.executable, "-m", "dvc", "status", "--json"]
    with subprocess.Popen(dvc, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        changed = dict(changed_recipes(p))  # while DVC works
        output, complaint = process.communicate()
    if process.returncode:
        raise ValueError(f"`dvc status` failed: {' '.join(complaint.split())}")
    stages = {stage: why(changes) for stage, changes in json.loads(output).items()}
    for stage, reason in changed.items():
        rows = {f"{stage}@{row}" for row in (p.judged if stage in JUDGING else p.rows)}
        if not rows <= stages.keys():
            stages.setdefault(stage, reason)
    return stages


def changed_recipes(p: params.Params) -> Iterator[tuple[str, str]]:
    """The stages whose recipe or settings are not those on the disk, with the keys that differ."""
    paths = Paths(p.study)
    new = {f"pretrain@{row}": (paths.recipe(row), recipe.resolve(p, row).values()) for row in p.rows}
    for name, values in recipe.stage_settings(p).items():
        new[name.replace("-", "@")] = (paths.settings(name), values)
    for stage, (file, values) in new.items():
        after, before = dict(yaml.flat(values)), dict(yaml.flat(yaml.load(file))) if file.is_file() else {}
        if keys := [key for key in after | before if after.get(key) != before.get(key)]:
            yield stage, f"another {', '.join(keys[:3])}{', ...' if keys[3:] else ''}" if before else "no recipe yet"


def why(changes: list[Any]) -> str:
    """One stage's entry in what `dvc status --json` prints, in words."""
    kinds = {kind: files for change in changes if isinstance(change, dict) for kind, files in change.items()}
    if outs := kinds.get("changed outs"):
        return "results were changed" if "modified" in outs.values() else "no results here"
    return f"changed {', '.join(kinds.get('changed deps', ['itself']))}"


def by_reason(stages: dict[str, str], rows: list[str]) -> dict[str, list[str]]:
    """The stages of each reason, those of several rows in one: "pretrain (random, cifar_aug)"."""
    items, reasons = defaultdict[tuple[str, str], list[str]](list), defaultdict[str, list[str]](list)
    for stage, reason in stages.items():
        name, _, item = stage.partition("@")
        items[reason, name].append(item)
    for (reason, name), these in items.items():
        words = "all rows" if these == rows else ", ".join(these)
        reasons[reason].append(f"{name} ({words})" if words else name)
    return reasons


def uncommitted() -> list[str]:
    """Which of FILES, and of the folders in them, are not as in the last commit; empty outside of git."""
    changed = git("diff", "--name-only", "HEAD", "--", *FILES) or ""
    added = git("ls-files", "--others", "--exclude-standard", "--", *FILES) or ""
    return sorted({"/".join(name.split("/")[:2]) for name in f"{changed}\n{added}".split("\n") if name})
