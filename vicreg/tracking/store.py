"""The MLflow store of a repository: one SQLite database at its root, artifacts beside it, or a server's.

MLflow holds absolute addresses of artifacts, so those of a repository that was moved or copied are rewritten when its
store is opened; `python -m vicreg.tracking.store` does that alone, for `mlflow ui`.
"""

import json
import logging
import os
import sqlite3
import zlib
from base64 import b64encode
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from vicreg.io import yaml

EXPERIMENT = "vicreg"  # one for all studies: MLflow compares runs within an experiment and filters by tag
ARTIFACTS = "mlartifacts"
WORKSPACE = "workspace"  # what runs outside of DVC experiments have for one
ADDRESSES = (  # MLflow's tables and their columns that hold addresses of artifacts
    *(("experiments", "artifact_location"), ("logged_models", "artifact_location"), ("runs", "artifact_uri")),
    *(("model_versions", "source"), ("model_versions", "storage_location")),
)


@cache
def store(uri: str) -> tuple[Any, str]:
    """Open the store, or create it; return its client and the id of the experiment."""
    path, location = database(uri), None  # of artifacts; a server decides on its own
    with store_lock(uri):
        if path and not (path.exists() and path.stat().st_size):
            create_database(path)
        client = mlflow_client(uri)
        if path:
            location = (path.parent / ARTIFACTS).as_uri()
            relocate(path, location)
        if experiment := client.get_experiment_by_name(EXPERIMENT):
            return client, experiment.experiment_id
        return client, client.create_experiment(EXPERIMENT, artifact_location=location, tags=saved_views())


def saved_views() -> dict[str, str]:
    """What MLflow's page offers under `Views`, as the tags in which the page of MLflow 3.17 keeps it, compressed."""
    tags = {}
    for number, (name, state) in enumerate(yaml.load(Path(__file__).with_name("saved_views.yaml")).items()):
        packed = b64encode(zlib.compress(json.dumps(state).encode())).decode()
        view = {"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"}
        tags[f"mlflow.sharedViewState.vicreg{number}"] = json.dumps(view)
    return tags


def study_run(uri: str, study: str, experiment: str) -> str:
    """The id of the run that all runs of a study, in a DVC experiment, are children of: MLflow folds them together."""
    client, experiment_id = store(uri)
    query = f"tags.stage = 'study' and tags.study = '{study}' and tags.experiment = '{experiment}'"
    with store_lock(uri):
        if oldest := client.search_runs([experiment_id], query, max_results=1, order_by=["attributes.start_time ASC"]):
            return oldest[0].info.run_id
        tags = {"stage": "study", "study": study, "experiment": experiment, "mlflow.note.content": study_note(study)}
        name = study if experiment == WORKSPACE else f"{study}: {experiment}"
        created = client.create_run(experiment_id, run_name=name, tags=tags)
        client.set_terminated(created.info.run_id, "FINISHED")  # a study has no process that could end it
        return created.info.run_id


def study_note(study: str) -> str:
    """What the description of a study's own run says: what lies where."""
    return Path(__file__).with_name("study_run.md").read_text(encoding="utf-8").format(study=study)


def store_lock(uri: str, suffix: str = "") -> FileLock:
    """File lock around creating singletons in the store, shared by all processes of this repository."""
    path = database(uri) or repository() / ".vicreg" / "mlflow"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{path}{suffix}.lock")


def create_database(path: Path) -> None:
    """Create MLflow's tables beside `path` and then put them there: MLflow's own steps could be cut off half-way."""
    draft = path.with_name(f".{path.name}.part")
    draft.unlink(missing_ok=True)
    mlflow_client(f"sqlite:///{draft.as_posix()}")
    draft.replace(path)


def relocate(path: Path, location: str) -> None:
    """Let addresses that began with another repository's begin with `location`, at once; a bucket's stay."""
    with closing(sqlite3.connect(path)) as connection, connection:
        query = "SELECT artifact_location FROM experiments WHERE name = ? AND artifact_location LIKE ?"
        [old] = connection.execute(query, (EXPERIMENT, f"file:%/{ARTIFACTS}")).fetchone() or [location]
        if old == location:
            return
        values = (location, len(old) + 1, len(old) + 1, f"{old}/")
        for table, column in ADDRESSES:
            update = f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?"
            connection.execute(update, values)


def mlflow_client(uri: str) -> Any:
    """MLflow's client, without telemetry, progress lines and minutes of patience with a dead server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")  # or models carry uv.lock, with a registry's address
    from mlflow import MlflowClient

    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowClient(uri)


def tracking_uri() -> str:
    """MLFLOW_TRACKING_URI, or the database that `mlflow ui` opens at the repository's root."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or "sqlite:///mlflow.db"
    path = database(uri)
    return f"sqlite:///{path.as_posix()}" if path else uri


def database(uri: str) -> Path | None:
    """The file of an SQLite store, anchored at the repository's root; None for other stores."""
    if not uri.startswith("sqlite:///"):
        return None
    return (repository() / uri.removeprefix("sqlite:///")).resolve()


def repository() -> Path:
    """The user's repository: DVC names it, also to experiments that run in a temporary copy."""
    if root := os.environ.get("DVC_ROOT"):
        return Path(root)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


if __name__ == "__main__":
    store(tracking_uri())
