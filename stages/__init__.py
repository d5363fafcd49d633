"""Stages: one file for each box of dvc.yaml. A stage reads, calls, writes; ideas live in vicreg/."""

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from vicreg.io import atomic, errors
from vicreg.study.paths import SLOTS as SLOTS
from vicreg.study.paths import Paths as Paths


def scratch() -> Path:
    """The git-ignored folder for downloads, one for all of DVC's ways to run."""
    return Path(os.environ.get("DVC_ROOT", "."), ".vicreg")


def write_json(path: Path, content: Any) -> None:
    with atomic.writing(path) as stream:
        stream.write((json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@contextmanager
def timed(study: str, stage: str, device: str | None = None) -> Iterator[None]:
    """Write the seconds of the work inside, and the hardware, to results/<study>/seconds/<stage>.json."""
    start = time.perf_counter()
    yield
    write_seconds(study, stage, time.perf_counter() - start, device)


def write_seconds(study: str, stage: str, seconds: float, device: str | None = None) -> None:
    content = {"stage": stage, "seconds": round(seconds, 2), "device": device or f"cpu: {processor()}"}
    write_json(Path("results", study, "seconds", f"{stage}.json"), content)


def processor() -> str:
    """The processor's name and the number of its cores that this process may use."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", str(cores))
    return f"{name} ({threads} {'thread' if threads == '1' else 'threads'})"


def show(line: str) -> None:
    """Print a line for a person, above the progress bar where there is one."""
    from tqdm import tqdm

    tqdm.write(line)
    sys.stdout.flush()


def run(command: Callable[..., None]) -> None:
    """Run a stage's command; what a person can mend is shown as one message, without a traceback."""
    try:
        typer.run(command)
    except Exception as error:
        if not errors.mendable(error):
            raise
        errors.told(error, f"process {rank}: " if (rank := os.environ.get("RANK")) else "")
        sys.exit(1)
