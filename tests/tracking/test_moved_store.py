"""A repository that is moved or copied takes its MLflow artifacts along: old runs are found, new ones land in it."""

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import environment

from vicreg.tracking import model_registry, runs, store

pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")
LOADER = """
import numpy as np
class Zeros:
    def predict(self, model_input, params=None):
        return np.zeros((len(model_input), 2), np.float32)
def _load_pyfunc(path):
    return Zeros()
"""


def work(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run of the repository at `root` with one artifact; return its id."""
    monkeypatch.setenv("DVC_ROOT", str(root))
    store.store.cache_clear()  # a stage is a process of its own
    tags = runs.RunTags(stage="pretrain", study="s", dataset="drawn")
    with runs.run(name, tags=tags, fingerprint="ab" * 32, params={}) as run:
        run.text(name, "words/note.txt")
    return run.id


def register(root: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "files").mkdir(parents=True)
    (folder / "zeros_loader.py").write_text(LOADER)
    monkeypatch.syspath_prepend(folder)
    example, tags = np.zeros((2, 4, 4, 3), np.uint8), runs.RunTags(stage="register", study="s", dataset="drawn")
    about: dict[str, Any] = {"example": example, "classes": ("a", "b"), "tags": {}, "description": "zeros"}
    monkeypatch.setenv("DVC_ROOT", str(root))
    with runs.run("register", tags=tags, fingerprint="ab", params={}) as run:
        model_registry.register(run, "zeros", folder / "files", loader="zeros_loader", **about)


def state(root: Path) -> dict[str, bytes]:
    """All files of the artifacts, and the database's content."""
    files = {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        dump = "\n".join(database.iterdump()).encode()
    return {name: content for name, content in files.items() if name.startswith("mlartifacts")} | {"database": dump}


def note(root: Path, id: str) -> str:
    """The artifact of a run as MLflow gives it to anybody who opens the database."""
    from mlflow.artifacts import download_artifacts

    uri = f"sqlite:///{root}/mlflow.db"
    return Path(download_artifacts(run_id=id, artifact_path="words/note.txt", tracking_uri=uri)).read_text()


@pytest.fixture
def original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "the original, 100 %"


def test_a_copy_writes_into_itself_alone(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = work(original, "old", monkeypatch)
    before = state(original)
    copy = shutil.copytree(original, original.with_name("the original, 100 % (copy)"))
    new = work(copy, "new", monkeypatch)
    assert state(original) == before
    assert (copy / "mlartifacts" / new / "artifacts/words/note.txt").read_text() == "new"
    shutil.rmtree(original)
    assert (note(copy, old), note(copy, new)) == ("old", "new")


def test_a_moved_repository_is_found_by_one_command(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = work(original, "old", monkeypatch)
    register(original, original.with_name("model"), monkeypatch)
    moved = original.rename(original.with_name("moved"))
    env = environment(moved) | {"DVC_ROOT": str(moved), "PYTHONPATH": str(Path(store.__file__).parents[2])}
    subprocess.run([sys.executable, "-m", "vicreg.tracking.store"], check=True, env=env)
    assert note(moved, old) == "old"
    import mlflow

    mlflow.set_tracking_uri(f"sqlite:///{moved}/mlflow.db")
    try:
        model = mlflow.pyfunc.load_model("models:/zeros/1")
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
    assert model.predict(np.zeros((3, 4, 4, 3), np.uint8)).shape == (3, 2)
    assert str(original).encode() not in state(moved)["database"]


def test_a_location_of_somebody_elses_choice_stays(original: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work(original, "old", monkeypatch)
    with closing(sqlite3.connect(original / "mlflow.db")) as database, database:
        database.execute("UPDATE experiments SET artifact_location = 's3://bucket/mlartifacts' WHERE name = 'vicreg'")
    store.relocate(original / "mlflow.db", "file:///new/mlartifacts")
    with closing(sqlite3.connect(original / "mlflow.db")) as database:
        [location] = database.execute("SELECT artifact_location FROM experiments WHERE name = 'vicreg'").fetchone()
    assert location == "s3://bucket/mlartifacts"
