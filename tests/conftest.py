"""A copy of this repository whose study is tiny, so that tests can run the whole pipeline."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from ruamel.yaml import YAML

pytest.register_assert_rewrite("hostile")
HERE = Path(__file__).parents[1]
yaml = YAML()
TINY: dict[str, Any] = {
    "fractions": {"pretrain": 0.01, "probe": 0.02},
    "width": 2,
    "projector_width": 8,
    "epochs": 1,
    "batch_size": 32,
    "online_eval_every": 1,
}


for name in [name for name in os.environ if name.startswith(("DVC_", "MLFLOW_", "VICREG_"))]:
    del os.environ[name]
os.environ["OMP_NUM_THREADS"] = "1"  # as commands have it: several would give other last bits, and slow each other
NOBODYS_KEYS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
COSTLY = ("undisturbed", "finished_study")  # fixtures that take a minute or more


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with costly tests come first: a process of pytest-xdist takes whole files, and none is left for last."""
    ranks: dict[Path, int] = {}
    for item in items:
        used = getattr(item, "fixturenames", ())
        rank = next((place for place, fixture in enumerate(COSTLY) if fixture in used), len(COSTLY))
        ranks[item.path] = min(rank, ranks.get(item.path, rank))
    items.sort(key=lambda item: ranks[item.path])


def digest(file: Path) -> str:
    """The SHA-256 of a file: of its bytes themselves pytest would show each difference, for minutes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Repository:
    """A git and DVC repository on its own: neither the user's settings nor variables reach it."""

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str, fails: bool = False) -> str:
        """Return what a command prints; it must end well, or badly where `fails`."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode != 0) == fails, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
        return done.stdout

    def raw(self, *command: str) -> bytes:
        """Return the bytes that a command prints."""
        return subprocess.run(command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, check=True).stdout

    def begin(self, *command: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command whose output can be read while it runs; `options` are those of `Popen`."""
        usual: dict[str, Any] = {"cwd": self.folder, "env": self.environment, "text": True}
        usual |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, **(usual | options))

    def dvc(self, *args: str, fails: bool = False) -> str:
        return self.run(sys.executable, "-m", "dvc", *args, fails=fails)

    def vicreg(self, *args: str) -> str:
        return self.run(sys.executable, "-c", "from vicreg.cli.main import app; app()", *args)

    def git(self, *args: str) -> str:
        return self.run("git", *args)

    def stages_run_by(self, *args: str) -> set[str]:
        """Return the names of the stages that a DVC command ran, as it says itself."""
        return set(re.findall(r"^Running stage '(.+)':$", self.dvc(*args), re.MULTILINE))

    def tracked_runs(self) -> list[Any]:
        """Return every MLflow run in the store at this repository's root, of whatever status."""
        return runs_in(self.folder / "mlflow.db")

    def copy(self, folder: Path) -> "Repository":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Repository(folder, self.environment)


def runs_in(database: Path) -> list[Any]:
    """Return the MLflow runs in a database, read by MLflow itself, without those that only hold a study together."""
    return [run for run in all_runs_in(database) if run.data.tags["stage"] != "study"]


def all_runs_in(database: Path) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{database}")
    return list(client.search_runs([experiment.experiment_id for experiment in client.search_experiments()]))


def results_of(run: Any) -> dict[str, float]:
    """The metrics of an MLflow run without those that say how busy the machine was."""
    return {name: value for name, value in run.data.metrics.items() if not name.startswith("system/")}


def environment(folder: Path) -> dict[str, str]:
    """Variables for commands in a test's repository, what they keep outside of it included."""
    foreign = ("DVC_", "MLFLOW_", "GIT_", "AWS_", "PYTHON", "VICREG_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
    person = {"NAME": "Test", "EMAIL": "test@example.com"}
    return (
        kept
        | {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
        | {f"DVC_{name}": str(folder / name) for name in ("SITE_CACHE_DIR", "GLOBAL_CONFIG_DIR", "SYSTEM_CONFIG_DIR")}
        | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
            "OMP_NUM_THREADS": "1",
        }
    )


@pytest.fixture(scope="session")
def tiny_repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """This repository as it is now, with a tiny study, committed; nothing ran. Copy it before changing it."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=HERE,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        pytest.skip(f"git cannot list this repository's files: {listed.stderr}")
    parent = tmp_path_factory.mktemp("tiny")
    repository = Repository(parent / "repository", environment(parent))
    for name in listed.stdout.rstrip("\0").split("\0"):
        if (HERE / name).is_file() and name != "dvc.lock" and not name.startswith(("reports/", "recipes/", "shipped/")):
            (repository.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(HERE / name, repository.folder / name)
    make_tiny(repository.folder / "params.yaml")
    repository.git("init", "--quiet", "--initial-branch=main")
    repository.git("add", "--all")
    repository.git("commit", "--quiet", "--message", "A tiny study")
    return repository


@pytest.fixture
def bucket() -> Iterator[str]:
    """The address of an S3-compatible server on this machine that has one empty bucket, `share`."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{address}/share", method="PUT")).close()
    yield address
    server.stop()


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.05)
    return found


def free_port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def clone(repository: Repository, folder: Path) -> Repository:
    repository.git("clone", "--quiet", str(repository.folder), str(folder))
    return Repository(folder, repository.environment)


def change(params: Path, key: str, value: Any) -> None:
    """Set a parameter of a params.yaml, named with dots."""
    values = section = yaml.load(params)
    *parents, last = key.split(".")
    for name in parents:
        section = section[name]
    section[last] = value
    yaml.dump(values, params)


def make_tiny(params: Path) -> None:
    values = yaml.load(params)
    values["studies"]["embedded"].update(TINY)
    values["probes"]["linear"]["epochs"] = 2
    values["probes"]["logistic"].update({"C": [0.1], "max_iter": 20})
    values["pair_loss"]["num_pairs"] = 4
    values["neighbors"]["points"] = 60
    yaml.dump(values, params)


@pytest.fixture(scope="session")
def finished_study(tiny_repository: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A copy of the tiny repository after its first `dvc repro`, its results committed. Copy it before changing it.

    All processes of pytest-xdist share it; the first one makes it.
    """
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "finished"
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            finished = tiny_repository.copy(tmp_path_factory.mktemp("finished") / "repository")
            finished.dvc("repro")
            finished.git("add", "--all")
            finished.git("commit", "--quiet", "--message", "Results of the tiny study")
            folder.symlink_to(finished.folder)
    return Repository(folder.resolve(), tiny_repository.environment)
