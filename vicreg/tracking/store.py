"""The MLflow store of a repository: one SQLite database at its root, artifacts beside it, or a server's.

MLflow holds absolute addresses of artifacts, so those of a repository that was moved or copied are rewritten when its
store is opened; `python -m vicreg.tracking.store` does that alone, for `mlflow ui`.
"""

import logging
import os
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from vicreg.tracking import saved_views

EXPERIMENT = "vicreg"  # one for all studies: MLflow compares runs within an experiment and filters by tag
ARTIFACTS = "mlartifacts"
ADDRESSES = {  # MLflow's tables and their columns that hold addresses of artifacts
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "model_versions": ("source", "storage_location"),
}


@cache
def store(uri: str) -> tuple[Any, str]:
    """Open the store, or create it; return its client and the id of the experiment."""
    path = database(uri)
    location = (path.parent / ARTIFACTS).as_uri() if path else None  # a server decides on its own
    with store_lock(uri):
        if path and not (path.exists() and path.stat().st_size):
            create_database(path)
        client = mlflow_client(uri)
        if path and location:
            relocate(path, location)
        if experiment := client.get_experiment_by_name(EXPERIMENT):
            return client, experiment.experiment_id
        return client, client.create_experiment(EXPERIMENT, artifact_location=location, tags=saved_views.tags())


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
    """Let all addresses in the database at `path` begin with `location`, if they began with another repository's.

    It is one transaction. A location that is not this project's, such as a bucket, stays.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        query = "SELECT artifact_location FROM experiments WHERE name = ? AND artifact_location LIKE ?"
        row = connection.execute(query, (EXPERIMENT, f"file:%/{ARTIFACTS}")).fetchone()
        if row is None or row[0] == location:
            return
        [old] = row
        for table, column in [(table, column) for table, columns in ADDRESSES.items() for column in columns]:
            connection.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column} || '/', 1, ?) = ?",
                (location, len(old) + 1, len(old) + 1, f"{old}/"),
            )


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
