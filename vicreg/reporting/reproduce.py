"""How to make a report again: the commit of its code, and every parameter that differs from it."""

import json
import re
import shlex
from typing import Any

from vicreg.io import yaml
from vicreg.reporting.study import Study
from vicreg.tracking import provenance

WORD = re.compile(r"[A-Za-z_][\w./-]*")  # a text that needs no quotes in an override


def commands(study: Study, overrides: list[str] | None) -> list[str]:
    """Return the commands that make the report again; none where no commit is known."""
    if overrides is None:
        overrides = [f"study={study.name}", f"seed={study.seed}", f"protocol={study.protocol}"]
    options = "".join(f" -S {shlex.quote(override)}" for override in overrides)
    return [f"git checkout {study.commit}", f"uv run dvc exp run{options}"] if study.commit else []


def commit_date(commit: str | None) -> str:
    """The day of a commit, as 2026-11-26; "" where it is not known."""
    return (commit and provenance.git("show", "-s", "--format=%cs", commit)) or ""


def readme() -> str:
    """The address of the repository where its origin is on the web, else where the README lies beside the reports."""
    origin = provenance.git("remote", "get-url", "origin") or ""
    web = re.fullmatch(r"(?:https://(?:[^@/]*@)?|git@)([\w.-]+)[:/](.+?)(?:\.git)?/?", origin)
    return f"https://{web[1]}/{web[2]}#readme" if web else "../../README.md"


def overrides(study: Study) -> list[str] | None:
    """Return "key=value" for every parameter that params.yaml has otherwise at the commit; None where that is unknown.

    A key that it does not have at all begins with "++", as in Hydra, so that the command can be given again. Where a
    folder lies on this machine is left out.
    """
    shown = provenance.git("show", f"{study.commit}:./params.yaml") if study.commit else None
    if shown is None:
        return None
    before = dict(yaml.flat(yaml.loads(shown)))
    now = {"study": study.name, "seed": study.seed, "protocol": study.protocol, **study.params}
    return [
        f"{'' if key in before else '++'}{key}={'FOLDER' if key.endswith('.folder') and value else _text(value)}"
        for key, value in yaml.flat(now)
        if (before[key] != value if key in before else value is not None and (value != {} or "." in key))
    ]


def _text(value: Any) -> str:
    """A value as Hydra's grammar of overrides has it."""
    if isinstance(value, list):
        return f"[{','.join(map(_text, value))}]"
    return value if isinstance(value, str) and WORD.fullmatch(value) else json.dumps(value)
