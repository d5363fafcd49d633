"""Two clones, as on two machines, with one S3-compatible remote and one MLflow server on PostgreSQL, all local."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import NOBODYS_KEYS, Repository, clone, free_port

DEBIANS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))  # not on the PATH there
PROGRAMS = os.pathsep.join([os.environ.get("PATH", ""), *map(str, DEBIANS)])
POSTGRES = shutil.which("postgres", path=PROGRAMS)


@contextmanager
def running(*command: Any, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, **options) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_for(works: Any, process: subprocess.Popen[bytes], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not works():
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        assert time.monotonic() < end, f"{process.args!r} did not answer in {seconds} s"
        time.sleep(0.2)


def answers(address: str) -> bool:
    try:
        return bool(urllib.request.urlopen(address).status == 200)
    except urllib.error.URLError:
        return False


@pytest.fixture
def database() -> Iterator[str]:
    """The address of an empty PostgreSQL database on this machine."""
    if not POSTGRES:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    pytest.importorskip("psycopg", reason="the driver is not installed: `uv sync --extra postgres`")
    with tempfile.TemporaryDirectory() as folder:
        owner: dict[str, Any] = {}
        if os.geteuid() == 0:  # whom PostgreSQL refuses
            owner = {"user": "postgres", "group": "postgres"}
            shutil.chown(folder, **owner)
        data, programs = Path(folder, "data"), Path(POSTGRES).resolve().parent
        initdb: list[Any] = [programs / "initdb", "--pgdata", data, "--username", "vicreg", "--auth", "trust"]
        subprocess.run([*initdb, "--no-sync"], cwd=folder, stdout=subprocess.DEVNULL, check=True, **owner)
        listens = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}"]
        with running(POSTGRES, "-D", data, *listens, cwd=folder, stderr=subprocess.DEVNULL, **owner) as server:
            ready: list[Any] = [programs / "pg_isready", "-q", "-h", folder]
            wait_for(lambda: subprocess.run(ready).returncode == 0, server)
            yield f"postgresql+psycopg://vicreg@/postgres?host={folder}"


@pytest.fixture
def environment(database: str, bucket: str, finished_study: Repository) -> Iterator[dict[str, str]]:
    """Variables of a machine that tracks with an MLflow server, which keeps artifacts in the bucket."""
    port = free_port()
    variables = {**finished_study.environment, **NOBODYS_KEYS, "MLFLOW_S3_ENDPOINT_URL": bucket}
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database]
    options = ["--host", "127.0.0.1", "--port", port, "--artifacts-destination", "s3://share/runs", "--workers", "1"]
    with running(*command, *options, env=variables, stderr=subprocess.DEVNULL) as server:
        wait_for(lambda: answers(f"http://127.0.0.1:{port}/health"), server)
        yield {**finished_study.environment, **NOBODYS_KEYS, "MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"}


def test_two_machines_share_a_sweep(
    finished_study: Repository,
    tmp_path: Path,
    bucket: str,
    environment: dict[str, str],
) -> None:
    one = Repository(finished_study.copy(tmp_path / "one").folder, environment)
    one.git("init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    one.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    one.dvc("remote", "add", "--default", "share", "s3://share/vicreg")
    one.dvc("remote", "modify", "share", "endpointurl", bucket)
    one.git("commit", "--quiet", "--all", "--message", "Share in a bucket")
    one.git("push", "--quiet", "origin", "main")
    one.dvc("push")
    other = clone(Repository(tmp_path / "origin.git", environment), tmp_path / "other")
    other.git("checkout", "--quiet", "main")
    other.dvc("pull")

    for machine, rate, stages in ((one, "0.1", ["linear_eval@cifar_aug"]), (other, "1.0", [])):
        machine.dvc("exp", "run", "--name", f"lr-{rate}", "--set-param", f"probes.linear.lr={rate}", *stages)
        machine.dvc("exp", "push", "origin", f"lr-{rate}")

    sweep = ["sweep", "lr-0.1", "lr-1.0", "--by", "probes.linear.lr", "--out", "sweep"]
    one.vicreg(*sweep)
    scores = pd.read_csv(one.folder / "sweep.csv")
    assert dict(zip(scores["experiment"], scores["value"], strict=True)) == {"lr-0.1": 0.1, "lr-1.0": 1.0}

    one.dvc("exp", "pull", "origin", "lr-1.0")
    one.dvc("exp", "apply", "lr-1.0")
    assert one.stages_run_by("repro") == set()
