"""Processes end when one of them dies, and nothing listens to the outside."""

import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from conftest import Repository, change, digest


@pytest.fixture
def pair(finished_study: Repository, tmp_path: Path) -> Repository:
    """A study whose pretrainings run as two processes."""
    repository = finished_study.copy(tmp_path / "repository")
    change(repository.folder / "params.yaml", "num_processes", 2)
    change(repository.folder / "params.yaml", "checkpoint_every", 0)
    change(repository.folder / "params.yaml", "studies.embedded.epochs", 3)
    repository.run(sys.executable, "-m", "stages.recipes")
    return repository


def test_processes_end_when_one_dies_and_go_on(pair: Repository) -> None:
    command = [sys.executable, "-m", "stages.pretrain", "cifar_aug"]
    weights = pair.folder / "models" / "embedded" / "cifar_aug.safetensors"
    assert "warning" not in pair.run(*command).lower().replace("warning: dimensions repeat each other", "")
    undisturbed = digest(weights)
    weights.unlink()
    pair.run("rm", "-r", ".vicreg/pretrain")
    with pair.begin(*command) as started:
        second = worker(started.pid, "1")
        listening = set()
        for one in (psutil.Process(started.pid), *psutil.Process(started.pid).children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                listening |= {c.laddr.ip for c in one.net_connections() if c.status == psutil.CONN_LISTEN}
        while not list(pair.folder.glob(".vicreg/pretrain/*/*.ckpt")):
            assert started.poll() is None
            time.sleep(0.01)
        second.send_signal(signal.SIGKILL)
        said, _ = started.communicate(timeout=90)
    assert listening <= {"127.0.0.1", "::1"} and listening
    assert started.returncode == 1
    assert "process 1 of 2 was killed by SIGKILL, and the others were stopped" in said
    assert not weights.exists()
    assert "going on in epoch " in pair.run(*command)
    assert digest(weights) == undisturbed


def worker(launcher: int, rank: str) -> psutil.Process:
    """The process of this rank, once it has met the others."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for child in psutil.Process(launcher).children(recursive=True):
            try:
                met = any(c.status == psutil.CONN_ESTABLISHED for c in child.net_connections())
                if met and child.environ().get("RANK") == rank:
                    return child
            except psutil.Error:
                continue
        time.sleep(0.1)
    raise TimeoutError("the processes never met")
