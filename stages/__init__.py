"""Stages: one file for each box of dvc.yaml. A stage reads, calls, writes; ideas live in vicreg/.

The first one, `recipes`, resolves params.yaml; the others read what it wrote, see `settings` and `recipe`.
"""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from vicreg.io import atomic, errors, yaml
from vicreg.study.paths import ROLES as ROLES
from vicreg.study.paths import Paths as Paths

if TYPE_CHECKING:
    from vicreg.study.recipe import Recipe


def param(name: str) -> Any:
    """A value at the top of params.yaml, for what shapes no result: the study's name, where checkpoints go."""
    return yaml.load("params.yaml")[name]


def paths() -> Paths:
    """Where the files of the study lie that params.yaml names."""
    return Paths(str(param("study")))


def settings(stage: str) -> dict[str, Any]:
    """What the first stage resolved for a stage."""
    return yaml.load(paths().settings(stage))


def recipe(row: str) -> "Recipe":
    """The recipe of a row, as the first stage resolved it."""
    from vicreg.study.recipe import Recipe

    return Recipe.model_validate(yaml.load(paths().recipe(row)))


def scratch() -> Path:
    """The git-ignored folder for downloads and checkpoints, one for all of DVC's ways to run."""
    return Path(os.environ.get("DVC_ROOT", "."), ".vicreg")


def write_json(path: Path, content: Any) -> None:
    """Write plain values, whole or not at all."""
    with atomic.writing(path) as stream:
        stream.write((json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


@contextmanager
def timed(stage: str, device: str | None = None) -> Iterator[None]:
    """Write the seconds of the work inside, and the hardware, to results/<study>/seconds/<stage>.json."""
    start = time.perf_counter()
    yield
    write_seconds(stage, time.perf_counter() - start, device)


def write_seconds(stage: str, seconds: float, device: str | None = None) -> None:
    """Write a stage's seconds and hardware; without `device` that is this CPU."""
    content = {"stage": stage, "seconds": round(seconds, 2), "device": device or f"cpu: {processor()}"}
    write_json(paths().result(f"seconds/{stage}"), content)


def processor() -> str:
    """The processor's name and the number of its cores that this process may use."""
    cpuinfo = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in cpuinfo if line.startswith("model name")]
    name = models[0] if models else platform.processor() or platform.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", str(cores))
    return f"{name} ({threads} {'thread' if threads == '1' else 'threads'})"


def log(line: str) -> None:
    """Print a line for a person, above the progress bar where there is one."""
    from tqdm import tqdm

    tqdm.write(line)
    sys.stdout.flush()


def run(command: Callable[..., None]) -> None:
    """Run a stage's command; user errors are shown as one message, without a traceback."""
    with errors.short_errors(f"process {rank}: " if (rank := os.environ.get("RANK")) else ""):
        typer.run(command)
