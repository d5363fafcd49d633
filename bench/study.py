"""Seconds per stage of `dvc repro` on the embedded study: the work, and what starting the stage costs."""

import json as json_module
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from bench import report

HERE = Path(__file__).parent.parent


def stage_seconds(folder: Path) -> dict[str, float]:
    """Run the study in `folder` and return the seconds from the start of each stage to that of the next."""
    command = [sys.executable, "-m", "dvc", "repro", "--force"]
    started: dict[str, float] = {}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # stages run this very Python
    environment = {**os.environ, "PATH": path}
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=both, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            if found := re.match(r"Running stage '(.+)':", line):
                print(line.strip(), flush=True)
                started[found[1]] = time.perf_counter()
    if process.returncode:
        raise RuntimeError(f"`dvc repro` ended with {process.returncode}; run it by hand to see why")
    ends = [*list(started.values())[1:], time.perf_counter()]
    return {name: end - start for (name, start), end in zip(started.items(), ends, strict=True)}


def main(json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None) -> None:
    """Run the committed embedded study in a clone, from nothing."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", str(HERE), folder], check=True)
        whole = stage_seconds(Path(folder))
        files = Path(folder, "results", "embedded", "seconds").glob("*.json")
        work = {entry["stage"]: entry["seconds"] for entry in (json_module.loads(file.read_text()) for file in files)}
    rows, figures = [], {}
    for stage, seconds in whole.items():
        inside = work.get(stage.replace("@", "-"))
        figures[stage] = {"seconds": round(seconds, 1), "work": inside}
        rows.append([stage, f"{seconds:.1f}", "" if inside is None else f"{inside:.1f}"])
    total = sum(whole.values())
    rows.append(["total", f"{total:.1f}", f"{sum(work.values()):.1f}"])
    report("The embedded study", ["stage", "seconds", "of it, work"], rows, {"total": round(total, 1), **figures}, json)


if __name__ == "__main__":
    typer.run(main)
