"""Checkpoints: what a run needs to go on exactly where it stopped, and that no other run can mistake for its own."""

import hashlib
import io
import json
import os
import pickle
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import nn

from vicreg.io import atomic

KEPT = 2  # newest checkpoints of a run; the older one is for the day when the newer one is damaged
FINISHED_FOR = 7 * 24 * 3600  # seconds that a finished run's last checkpoint is kept, should its outputs be lost


class CheckpointError(RuntimeError):
    """A checkpoint does not fit the run that it was written for."""


def capture(method: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator) -> dict[str, Any]:
    """Return all that training changes: weights, statistics, the optimizer's state and every generator's."""
    state = {"method": method.state_dict(), "optimizer": optimizer.state_dict(), "generator": generator.get_state()}
    state["global_generator"] = torch.get_rng_state()  # for a method that draws by itself, as dropout does
    if generator.device.type == "cuda":
        state["cuda_generator"] = torch.cuda.get_rng_state(generator.device)
    return state


def restore(
    state: dict[str, Any], method: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> None:
    """Put back what `capture` returned; raises CheckpointError where it is of another architecture."""
    try:
        method.load_state_dict(state["method"])
        if "optimizer" in state:  # a finished run has no more need of the rest
            optimizer.load_state_dict(state["optimizer"])
            generator.set_state(state["generator"])
            torch.set_rng_state(state["global_generator"])
        if "cuda_generator" in state:
            torch.cuda.set_rng_state(state["cuda_generator"], generator.device)
    except (RuntimeError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"the checkpoint is not of this architecture: {error}\nRemove its folder to begin anew."
        ) from error


class Checkpoints:
    """The checkpoints of one run, in a folder named by everything that shapes it.

    root: the folder of all runs' folders. title: what people read in the folder's name.
    shape: everything that shapes the run, as nested plain values. every: seconds from one checkpoint to the next.
    say: prints a line for a person.
    """

    def __init__(
        self, root: Path, title: str, shape: Any, every: float = 60.0, say: Callable[[str], None] = print
    ) -> None:
        self.run = hashlib.sha256(json.dumps(shape, sort_keys=True).encode()).hexdigest()
        self.root, self.folder = root, root / f"{title}-{self.run[:16]}"
        self.every, self.say, self.saved = every, say, -float("inf")

    def files(self) -> list[Path]:
        """The files of checkpoints, newest first."""
        return sorted(self.folder.glob("[0-9]*-[0-9]*-*.ckpt"), reverse=True)

    def newest(self) -> dict[str, Any] | None:
        """Return the newest checkpoint that is whole and this run's; None where there is none. Others are told of."""
        for file in self.files():
            try:
                return self.read(file)
            except (OSError, CheckpointError) as error:
                self.say(f"{file} is passed over: {error}")
        return None

    def note(self, state: dict[str, Any] | None) -> None:
        """Note where this process goes on, and put aside newer checkpoints, which are damaged."""
        at = (state["epoch"], state["step"]) if state else (1, 0)
        for file in self.files():
            if position(file) <= at and state:
                break
            file.replace(file.with_suffix(".damaged"))
        with atomic.explained(self.folder), (self.folder / "starts").open("a", encoding="utf-8") as starts:
            starts.write(f"{time.time():.3f} process {os.getpid()} epoch {at[0]} step {at[1]}\n")

    def read(self, file: Path) -> dict[str, Any]:
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest()[:32] != file.stem.rpartition("-")[2]:
            raise CheckpointError("it is damaged, its content is not what its name says")
        try:  # tensors and plain values, and nothing that could carry code
            state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
            raise CheckpointError(f"it is no checkpoint ({error})") from None
        if not isinstance(state, dict) or state.get("run") != self.run:
            raise CheckpointError("it is another run's")
        return state

    def offer(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write a checkpoint of `state` if the last one is old enough. Raises OSError that says what to do."""
        if time.monotonic() - self.saved >= self.every:
            self.write(state())

    def write(self, state: dict[str, Any], kept: int = KEPT) -> None:
        """Write `state`, which holds `epoch` and `step`; with it `kept` checkpoints remain."""
        stream = io.BytesIO()
        torch.save({**state, "run": self.run, "surroundings": surroundings()}, stream)
        content = stream.getbuffer()
        name = f"{state['epoch']:06d}-{state['step']:08d}-{hashlib.sha256(content).hexdigest()[:32]}.ckpt"
        with atomic.writing(self.folder / name) as file:
            file.write(content)
        for old in [file for file in self.files() if file.name != name][kept - 1 :]:
            old.unlink(missing_ok=True)
        self.saved = time.monotonic()

    def finish(self, state: dict[str, Any]) -> None:
        """Keep the weights of a finished run alone, for the case that what it made of them gets lost."""
        self.write({key: value for key, value in state.items() if key in ("method", "epoch", "step", "result")}, kept=1)
        (self.folder / "finished").touch()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the run: another process that has it is waited for, and named."""
        with atomic.explained(self.folder):
            self.forget_finished()
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = self.acquired()
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

    def acquired(self) -> FileLock:
        holder, lock = self.folder / "holder", FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            by = holder.read_text(encoding="utf-8") if holder.exists() else "another process"
            self.say(f"this very run is under way by {by}; waiting until it ends, to take its result or to go on")
            lock.acquire()
        return lock

    def forget_finished(self) -> None:
        """Remove the folders of other runs that finished long ago and that nobody holds."""
        for mark in self.root.glob("*/finished"):
            with suppress(FileNotFoundError, Timeout):
                if mark.parent != self.folder and time.time() - mark.stat().st_mtime > FINISHED_FOR:
                    with FileLock(mark.parent / "lock", timeout=0):
                        shutil.rmtree(mark.parent, ignore_errors=True)


def position(file: Path) -> tuple[int, int]:
    """The epoch and step in a checkpoint's name."""
    epoch, step, _ = file.stem.split("-")
    return int(epoch), int(step)


def surroundings() -> dict[str, Any]:
    """What shapes a CPU's last bits beside the run itself: to be told of when a run goes on in others."""
    return {"threads": torch.get_num_threads(), "processor": torch.backends.cpu.get_cpu_capability()}
