"""Pretrainings are killed at random moments, over and over, and end with the weights of one that nobody disturbed.

`pytest -m slow tests/jobs/test_kills.py` kills 20 times as often, and under `dvc exp run --temp` too.
"""

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from conftest import Repository, wait_for
from ruamel.yaml import YAML

from vicreg.jobs import run_store

SEED = 20261120
STAGE = "pretrain@cifar_aug"
WEIGHTS = "models/embedded/cifar_aug.safetensors"
EPOCHS, LOOKED_AT = range(1, 25), range(3, 25, 3)
STARTS = 7.0  # seconds: within these a process is killed that may still be starting
VICTIMS = [("training", signal.SIGKILL)] * 4 + [("DVC and training", signal.SIGKILL)] * 2
VICTIMS += [("DVC", signal.SIGKILL), ("training", signal.SIGTERM)]  # the first leaves the training as an orphan
Command = Callable[[Repository], subprocess.Popen[str]]


@pytest.fixture(scope="module")
def undisturbed(tiny_repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A repository whose pretraining takes some ten seconds and saves every 0.3, after one that was left alone."""
    repository = tiny_repository.copy(tmp_path_factory.mktemp("kills") / "repository")
    yaml, file = YAML(), repository.folder / "params.yaml"
    values = yaml.load(file)
    sizes = {"epochs": len(EPOCHS), "online_eval_every": 3, "fractions": {"pretrain": 0.02, "probe": 0.02}}
    values["studies"]["embedded"].update(sizes)
    values["checkpoint_every"] = 0.3
    yaml.dump(values, file)
    repository.dvc("repro", STAGE)
    repository.run("cp", "results/embedded/seconds/pretrain-cifar_aug.json", "seconds.json")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "A pretraining that nobody disturbed")
    return repository


@pytest.fixture
def fresh(undisturbed: Repository, tmp_path: Path) -> Iterator[Repository]:
    """A copy of that repository, from which a test may remove what the pretraining made."""
    repository = undisturbed.copy(tmp_path / "repository")
    yield repository
    for process in trainings(repository):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def begin_anew(repository: Repository) -> None:
    """Leave no weights, no checkpoints, no runs, and nothing in DVC's caches."""
    repository.git("checkout", "--quiet", "--force", "main")
    result, cache = "results/embedded/pretrain-cifar_aug.json", ".dvc/cache"
    repository.run("rm", "-rf", WEIGHTS, result, "mlflow.db", ".vicreg/pretrain", "mlartifacts", f"{cache}/runs")
    lock = repository.folder / "dvc.lock"
    content = YAML(typ="safe").load(lock.read_text())
    if STAGE in content["stages"]:
        digest = weights(repository, "HEAD")
        (repository.folder / cache / "files" / "md5" / digest[:2] / digest[2:]).unlink()
        del content["stages"][STAGE]
        YAML().dump(content, lock)
        repository.git("commit", "--quiet", "--all", "--message", "Before the pretraining")


def weights(repository: Repository, revision: str) -> str:
    """The MD5 that DVC recorded for the weights."""
    lock = YAML(typ="safe").load(repository.git("show", f"{revision}:dvc.lock"))
    [found] = [out["md5"] for out in lock["stages"][STAGE]["outs"] if out["path"] == WEIGHTS]
    return found


def trainings(repository: Repository) -> list[psutil.Process]:
    """The processes that pretrain for this repository, wherever DVC runs them."""
    found = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            if "stages.pretrain" in line and process.environ().get("DVC_ROOT") == str(repository.folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def start(repository: Repository, *args: str) -> subprocess.Popen[str]:
    """Start a DVC command that nobody listens to: a queue's worker would keep a pipe open."""
    quiet = subprocess.DEVNULL
    return repository.begin(sys.executable, "-m", "dvc", *args, stdin=quiet, stdout=quiet, stderr=quiet)


@dataclass(frozen=True)
class Kill:
    """What was killed when, and the epoch and step of the newest checkpoint by then."""

    what: str
    when: float
    position: tuple[int, int]


def kill_one(repository: Repository, begin: Command, draw: random.Random) -> Kill | None:
    """Begin, and after a random while kill the training, DVC over it, or both; None where it came too late."""
    before, started = experiments(repository), begin(repository)

    def over_already() -> bool:  # what ended in time is not run again; a queue's worker ends later than its command
        return started.poll() is not None and (begin is not queue or experiments(repository) != before)

    wait_for(lambda: trainings(repository) or over_already(), 60, "a training")
    if draw.random() < 0.6:  # in the midst of its work, however long this machine takes to start
        known = newest(repository)
        wait_for(lambda: newest(repository) != known or over_already(), 120, "a checkpoint")
        time.sleep(draw.uniform(0, 0.3) * undisturbed_seconds(repository))
    else:
        time.sleep(draw.uniform(0, STARTS))
    victim, how = draw.choice(VICTIMS)
    found = trainings(repository)
    over = []
    for process in found:
        with suppress(psutil.NoSuchProcess):
            over += [parent for parent in process.parents() if "dvc" in parent.cmdline()]
    for process in (found if victim != "DVC" else []) + (over if victim != "training" else []):
        with suppress(psutil.NoSuchProcess):
            process.send_signal(how)
    at, when = newest(repository), time.time()
    started.wait(timeout=120)
    return Kill(f"{victim} by {how.name}", when, at) if found else None


def newest(repository: Repository) -> tuple[int, int]:
    """Epoch and step of the newest checkpoint; (1, 0) where there is none."""
    kept = sorted(repository.folder.glob(".vicreg/pretrain/*/*.ckpt"))
    return run_store.file_position(kept[-1]) if kept else (1, 0)


def undisturbed_seconds(repository: Repository) -> float:
    """How long the pretraining took that nobody disturbed."""
    content = repository.git("show", "main:seconds.json")
    return float(json.loads(content)["seconds"])


def check(repository: Repository, undisturbed: Repository, revision: str) -> None:
    """The weights are the same, and each experiment that had the run has one in MLflow, with every epoch once."""
    from mlflow import MlflowClient

    assert weights(repository, revision) == weights(undisturbed, "HEAD")

    def tracked(of: Repository) -> list[Any]:
        return [run for run in of.tracked_runs() if run.data.tags["stage"] == "pretrain"]

    # an experiment whose DVC lived on may be done while the next one is still at work
    wait_for(lambda: {run.info.status for run in tracked(repository)} == {"FINISHED"}, 120, "the end of all runs")
    runs, [before] = tracked(repository), tracked(undisturbed)
    assert len({run.data.tags["experiment"] for run in runs}) == len(runs)
    client = MlflowClient(f"sqlite:///{repository.folder}/mlflow.db")
    for run in runs:
        assert run.data.metrics["loss"] == before.data.metrics["loss"]
        for metric, epochs in (("loss", EPOCHS), ("online/top1", LOOKED_AT)):
            assert [entry.step for entry in client.get_metric_history(run.info.run_id, metric)] == list(epochs)


def check_starts(repository: Repository, killed: list[Kill]) -> None:
    """Every process that had the run after a kill went on from where the newest checkpoint was, or from later."""
    [file] = repository.folder.glob(".vicreg/pretrain/*/starts")
    starts = [line.split() for line in file.read_text().splitlines()]
    for when, _, _, _, epoch, _, step in starts:
        for kill in killed:
            assert float(when) < kill.when or (int(epoch), int(step)) >= kill.position, (starts, killed)
    if any(kill.position > (1, 0) for kill in killed if "training" in kill.what):  # an orphan ends without a start
        assert any((int(epoch), int(step)) > (1, 0) for _, _, _, _, epoch, _, step in starts), (starts, killed)


def kill_often(repository: Repository, undisturbed: Repository, begin: Command, kills: int, seed: int) -> None:
    """Kill as often as asked, in rounds that begin anew and end with a command that is left alone, and a check."""
    draw = random.Random(seed)
    while kills > 0:
        begin_anew(repository)
        tried = [kill_one(repository, begin, draw) for _ in range(min(kills, draw.randint(3, 9)))]
        killed = [kill for kill in tried if kill is not None]
        kills -= len(killed)
        told = ", ".join(f"{kill.what} at {kill.position}" for kill in killed)
        print(f"seed {seed}: {told}; {kills} to come", flush=True)
        for revision in ended(repository, begin):
            check(repository, undisturbed, revision)
        check_starts(repository, killed)


def ended(repository: Repository, begin: Command) -> set[str]:
    """Begin once more and leave it alone; return the commits that have a lock, also of one whose DVC lived on."""
    before = experiments(repository)
    assert begin(repository).wait(timeout=240) == 0
    if begin is repro:
        repository.git("commit", "--quiet", "--all", "--message", "The end")
        return {"HEAD"}
    return wait_for(lambda: experiments(repository) - before, 240, "the end of an experiment")


def experiments(repository: Repository) -> set[str]:
    """The commits of DVC's experiments; refs/exps/<2>/<38>/<name> are theirs, and others DVC's own."""
    listed = repository.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/exps").splitlines()
    return {line.split()[1] for line in listed if re.match(r"refs/exps/[0-9a-f]{2}/", line)}


def repro(repository: Repository) -> subprocess.Popen[str]:
    return start(repository, "repro", STAGE)


def temporary(repository: Repository) -> subprocess.Popen[str]:
    return start(repository, "exp", "run", "--temp", STAGE)


def queue(repository: Repository) -> subprocess.Popen[str]:
    repository.dvc("exp", "run", "--queue", STAGE)
    return start(repository, "queue", "start")


@pytest.mark.parametrize("kills", [6, pytest.param(70, marks=pytest.mark.slow)])
def test_killed_under_dvc_repro(fresh: Repository, undisturbed: Repository, kills: int) -> None:
    kill_often(fresh, undisturbed, repro, kills, SEED)


@pytest.mark.parametrize("kills", [pytest.param(65, marks=pytest.mark.slow)])
def test_killed_under_exp_run_temp(fresh: Repository, undisturbed: Repository, kills: int) -> None:
    kill_often(fresh, undisturbed, temporary, kills, SEED + 1)


@pytest.mark.parametrize("kills", [4, pytest.param(65, marks=pytest.mark.slow)])
def test_killed_in_the_queue(fresh: Repository, undisturbed: Repository, kills: int) -> None:
    kill_often(fresh, undisturbed, queue, kills, SEED + 2)
    fresh.dvc("queue", "stop", "--kill")
