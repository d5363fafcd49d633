"""Save and restore the full state of a run, keyed by a hash of everything that shapes it."""

import hashlib
import io
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from vicreg.io import atomic

KEEP_LAST = 2  # newest checkpoints of a run; the older one is for the day when the newer one is damaged
FINISHED_TTL = 7 * 24 * 3600  # seconds that a finished run's last checkpoint is kept, should its outputs be lost


class CheckpointError(RuntimeError):
    """A checkpoint does not fit the run that it was written for."""


class RunStore:
    """The checkpoints of one run, in a folder named by everything that shapes it.

    root: the folder of all runs' folders. prefix: how the folder's name begins.
    key: everything that shapes the run, as nested plain values. interval: seconds from one checkpoint to the next.
    log: prints a line.
    """

    def __init__(self, root: Path, prefix: str, key: Any, interval: float = 60.0, log: Callable[[str], None] = print):
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
        self.root, self.folder = root, root / f"{prefix}-{digest[:16]}"
        self.interval, self.log, self.saved = interval, log, -float("inf")

    def files(self) -> list[Path]:
        """The files of checkpoints, newest first."""
        return sorted(self.folder.glob("[0-9]*-[0-9]*-*.ckpt"), reverse=True)

    def load_latest(self) -> dict[str, Any] | None:
        """Return the newest checkpoint that is whole, None where there is none; others are logged."""
        for file in self.files():
            try:
                return self.read(file)
            except (OSError, CheckpointError) as error:
                self.log(f"{file} is passed over: {error}")
        return None

    def mark_resume(self, state: dict[str, Any] | None) -> None:
        """Record where this process goes on, and put aside newer checkpoints, which are damaged."""
        position = (state["epoch"], state["step"]) if state else (1, 0)
        for file in self.files():
            if state and file_position(file) <= position:
                break
            file.replace(file.with_suffix(".damaged"))
        with atomic.explained(self.folder), (self.folder / "starts").open("a", encoding="utf-8") as starts:
            starts.write(f"{time.time():.3f} process {os.getpid()} epoch {position[0]} step {position[1]}\n")

    def read(self, file: Path) -> dict[str, Any]:
        """Return the state in a checkpoint; raises CheckpointError for a damaged file."""
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest()[:32] != file.stem.rpartition("-")[2]:
            raise CheckpointError("it is damaged, its content is not what its name says")
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)  # and no code

    @property
    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough for another one."""
        return time.monotonic() - self.saved >= self.interval

    def write(self, state: dict[str, Any], keep: int = KEEP_LAST) -> None:
        """Write `state`, which holds `epoch` and `step`; with it `keep` checkpoints remain.

        Raises OSError that says what to do.
        """
        stream = io.BytesIO()
        torch.save({**state, "environment": environment()}, stream)
        content = stream.getbuffer()
        name = f"{state['epoch']:06d}-{state['step']:08d}-{hashlib.sha256(content).hexdigest()[:32]}.ckpt"
        with atomic.writing(self.folder / name) as file:
            file.write(content)
        for old in [file for file in self.files() if file.name != name][keep - 1 :]:
            old.unlink(missing_ok=True)
        self.saved = time.monotonic()

    def finish(self, state: dict[str, Any]) -> None:
        """Keep the weights of a finished run alone, for the case that what it made of them gets lost."""
        kept = ("method", "epoch", "step", "result", "form")
        self.write({key: value for key, value in state.items() if key in kept}, keep=1)
        (self.folder / "finished").touch()

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run: another process that has it is waited for, and named."""
        with atomic.explained(self.folder):
            self.prune_finished()
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self.acquire()
            for leftover in self.folder.glob(f".*{atomic.PART}"):  # of a process that was killed while it wrote
                leftover.unlink(missing_ok=True)
            (self.folder / "finished").unlink(missing_ok=True)
        try:
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            with atomic.writing(self.folder / "holder") as file:
                file.write(f"process {os.getpid()} on {platform.node()} since {since}".encode())
            yield
        finally:
            lock.release()

    def acquire(self) -> FileLock:
        """Wait for the run's lock and return it, held."""
        holder, lock = self.folder / "holder", FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            by = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
            self.log(f"this run is under way in {by}; waiting until it ends, to take its result or to go on")
            lock.acquire()
        return lock

    def prune_finished(self) -> None:
        """Remove the folders of other runs that finished long ago and that nobody holds."""
        for mark in self.root.glob("*/finished"):
            with suppress(FileNotFoundError, Timeout):
                if mark.parent != self.folder and time.time() - mark.stat().st_mtime > FINISHED_TTL:
                    with FileLock(mark.parent / "lock", timeout=0):
                        shutil.rmtree(mark.parent, ignore_errors=True)


def file_position(file: Path) -> tuple[int, int]:
    """The epoch and step in a checkpoint's name."""
    epoch, step, _ = file.stem.split("-")
    return int(epoch), int(step)


def environment() -> dict[str, Any]:
    """Threads and CPU capability; if they differ on resume, results may differ in the last bits."""
    return {"threads": torch.get_num_threads(), "processor": torch.backends.cpu.get_cpu_capability()}
