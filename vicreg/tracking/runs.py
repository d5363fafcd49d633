"""Tracking: every pretraining and every probe is an MLflow run below its study's, in one store for the repository.

MLflow takes seconds to import, so only functions import it, and a process that makes several runs pays once.
"""

import json
import logging
import os
import re
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from filelock import FileLock

from vicreg.io import atomic
from vicreg.tracking import saved_views, system_metrics

EXPERIMENT = "vicreg"  # one for all studies: MLflow compares runs within an experiment and filters by tag
FLUSH_SECONDS = 5.0  # metrics wait at most this long for the next ones, and are then written together
LONGEST = {"name": 500, "digest": 36, "param": 6000, "tag": 5000}  # characters that MLflow takes
LARGEST_BATCH = 100  # entries that MLflow takes at once, of any kind

STUDY = "study"  # the stage that a study's own run has as its tag
ABOUT_STUDY = """All runs of the study `{study}` lie below this one, whichever DVC experiment they belong to.

| what | where |
|:--|:--|
| ready-made lists | `Views` above the table of runs; sorted by a metric, runs stand side by side in the charts |
| runs of one kind | search for `tags.stage = 'pretrain'`, or `linear_eval`, `publish`, `report` |
| ... of one encoder, dataset, probe, DVC experiment | `tags.encoder`, `tags.dataset`, `tags.probe`, `tags.experiment` |
| weights behind a number | the artifact `weights` of the run of stage `pretrain` with the same `tags.weights` |
| all numbers of a probe, its confusion matrix | the probe's artifact `result.json` |
| figures, tables, the page | the artifact `report` of the newest run of stage `report` |
| the data | each run's dataset: its digest is the fingerprint of the images in `data/{study}/` |
| the code | `tags.commit` |
| a model to use | the registered models `vicreg-{study}-...`, alias `best` |
"""

log = logging.getLogger(__name__)


class TrackingError(RuntimeError):
    """Runs cannot be tracked: the store cannot be reached, opened or written. Raised before any work."""


class Run:
    """One MLflow run that has begun. What the store refuses later is a warning: hours of work weigh more."""

    def __init__(self, client: Any, id: str, study_id: str) -> None:
        self.id = id
        self.client = client
        self.study_id = study_id  # the run of its study
        self.described = False  # whether the store has its data and parameters
        self.pending: list[Any] = []  # metrics that are not yet in the store
        self.known: set[tuple[str, int]] = set()  # names and steps that an earlier part of the run brought there
        self.flushed = time.monotonic()

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Log numbers by name at a step; an epoch is a good one. Names may group: `online/top1`.

        What an earlier part of the run logged already stays as it is, and is not logged twice.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = {name: value for name, value in values.items() if (name, step) not in self.known}
        self.pending += [Metric(name, float(value), now, step) for name, value in new.items()]
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def artifact(self, path: Path | str, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts; raises FileNotFoundError."""
        if not Path(path).is_file():
            raise FileNotFoundError(f"there is no file {path} to log")
        self.attempt(self.client.log_artifact, self.id, str(path), folder)

    def text(self, content: str, name: str) -> None:
        """Keep a text as an artifact."""
        self.attempt(self.client.log_text, self.id, content, name)

    def tag(self, name: str, value: str) -> None:
        self.attempt(self.client.set_tag, self.id, name, value)

    def flush(self) -> None:
        """Write the metrics that wait; those that cannot be written wait for the next time."""
        self.flushed = time.monotonic()
        while self.pending:
            if not self.attempt(self.client.log_batch, self.id, metrics=self.pending[:LARGEST_BATCH]):
                return
            del self.pending[:LARGEST_BATCH]

    def end(self, status: str) -> None:
        """Write what waits and close the run as FINISHED, FAILED or KILLED."""
        self.flush()
        self.attempt(self.client.set_terminated, self.id, status)
        self.attempt(self.client.set_terminated, self.study_id, "FINISHED")  # so that it lasts until its last run ended

    def attempt(self, call: Any, *args: Any, **kwargs: Any) -> bool:
        """Call; a failure of the store becomes a warning and False."""
        try:
            call(*args, **kwargs)
        except Exception as error:
            log.warning("MLflow run %s misses something: %s", self.id, brief(error))
            return False
        return True


@contextmanager
def run(
    name: str,
    *,
    stage: str,
    study: str,
    encoder: str | None = None,
    dataset: str,
    fingerprint: str,
    params: Mapping[str, Any],
    probe: str | None = None,
    weights: str | None = None,
    remembered: Path | None = None,
) -> Iterator[Run]:
    """Track what happens in the `with` block as one MLflow run.

    stage, study, encoder, dataset, probe become tags, besides the DVC experiment and the git commit. The run is a child
        of its study's run.
    fingerprint: the data's, a hash in hexadecimal; with `dataset` it is the run's dataset in MLflow.
    params: nested or flat; nested keys are joined with dots.
    weights: the digest of the encoder, a tag too, by which the runs that learned, judged and published it are found.
    remembered: a file for the run's id. Where it holds one that the store knows, that run goes on; the name of its
        folder becomes a tag, by which a run is found that was cut off before its id was written.

    The run ends as FINISHED, as FAILED after an exception, as KILLED after Ctrl-C or SIGTERM.
    Raises TrackingError at the start, when the store cannot be used.
    """
    tags = {"stage": stage, "study": study, "encoder": encoder, "dataset": dataset, "probe": probe, "weights": weights}
    tags |= {"fingerprint": fingerprint, "folder": remembered.parent.name if remembered else None} | provenance()
    try:
        uri = tracking_uri()
        client, experiment_id = store(uri)
        study_id = study_run(uri, study)
        known = clipped({key: value for key, value in tags.items() if value}, "tag") | {"mlflow.parentRunId": study_id}
        current = reopened(client, experiment_id, remembered, known)
        if current is None:
            begun = client.create_run(experiment_id, run_name=name, tags=known)
            current = Run(client, begun.info.run_id, study_id)
        if remembered is not None:
            with atomic.writing(remembered) as file:
                file.write(current.id.encode())
        if not current.described:
            describe(current, dataset, fingerprint, params)
    except Exception as error:
        raise TrackingError(f"no run can be tracked in {brief(tracking_uri())}: {brief(error)}") from error
    with terminable():
        try:
            with system_metrics.watched(current.id, uri):
                yield current
        except BaseException as error:
            current.end("FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        current.end("FINISHED")


def reopened(client: Any, experiment_id: str, remembered: Path | None, tags: Mapping[str, str]) -> Run | None:
    """Return the run that `remembered` speaks of, running again and aware of what it has; None where there is none."""
    found = known_run(client, experiment_id, remembered) if remembered is not None else None
    if found is None:
        return None
    current = Run(client, found.info.run_id, tags["mlflow.parentRunId"])
    current.described = bool(found.data.params)
    client.update_run(current.id, status="RUNNING")
    for key, value in tags.items():
        client.set_tag(current.id, key, value)
    for name in [name for name in found.data.metrics if not name.startswith(system_metrics.PREFIX)]:
        current.known |= {(name, entry.step) for entry in client.get_metric_history(current.id, name)}
    return current


def known_run(client: Any, experiment_id: str, remembered: Path) -> Any:
    """The store's run whose id the file holds, or without a file a running one with its folder's name, or None."""
    from mlflow.exceptions import MlflowException

    if not remembered.exists():
        wanted = f"tags.folder = '{remembered.parent.name}' and attributes.status = 'RUNNING'"
        return next(iter(client.search_runs([experiment_id], wanted)), None)
    try:
        found = client.get_run(remembered.read_text(encoding="utf-8").strip())
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise
    return found if found.info.lifecycle_stage == "active" else None


def describe(run: Run, dataset: str, fingerprint: str, params: Mapping[str, Any]) -> None:
    """Log what is known before the work begins: the data and the parameters."""
    from mlflow.entities import Dataset, DatasetInput, Param

    data = Dataset(
        name=dataset[: LONGEST["name"]],
        digest=fingerprint[: LONGEST["digest"]],
        source_type="code",
        source=json.dumps({"tags": {"fingerprint": fingerprint}}),
        profile=json.dumps({"fingerprint": fingerprint}),
    )
    run.client.log_inputs(run.id, datasets=[DatasetInput(data)])
    entries = [Param(key, value) for key, value in clipped(flat(params), "param").items()]
    for start in range(0, len(entries), LARGEST_BATCH):
        run.client.log_batch(run.id, params=entries[start : start + LARGEST_BATCH])


def study_run(uri: str, study: str) -> str:
    """The id of the run that all runs of a study are children of; the first of them makes it."""
    client, experiment_id = store(uri)
    wanted = f"tags.stage = '{STUDY}' and tags.study = '{study}'"
    with locked(uri):
        oldest = client.search_runs([experiment_id], wanted, max_results=1, order_by=["attributes.start_time ASC"])
        if oldest:
            return oldest[0].info.run_id
        tags = {"stage": STUDY, "study": study, "mlflow.note.content": ABOUT_STUDY.format(study=study)}
        made = client.create_run(experiment_id, run_name=study, tags=tags)
        client.set_terminated(made.info.run_id, "FINISHED")  # a study has no process that could end it
        return made.info.run_id


def locked(uri: str, what: str = "") -> FileLock:
    """One process of this repository at a time has it: what there must be one of in the store is made within."""
    path = database(uri) or repository() / ".vicreg" / "mlflow"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(f"{path}{'.' if what else ''}{what}.lock")


@cache
def store(uri: str) -> tuple[Any, str]:
    """Open the store, or create it; return its client and the id of the experiment."""
    path = database(uri)
    with locked(uri):
        if path and not (path.exists() and path.stat().st_size):
            create_database(path)
        client = mlflow_client(uri)
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            place = artifact_location(uri)
            return client, client.create_experiment(EXPERIMENT, artifact_location=place, tags=saved_views.tags())
        return client, experiment.experiment_id


def create_database(path: Path) -> None:
    """Create MLflow's tables at `path` in one transaction: MLflow's own many could be cut off half-way."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        draft = Path(folder) / path.name
        mlflow_client(f"sqlite:///{draft.as_posix()}")
        with closing(sqlite3.connect(draft)) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)


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


def artifact_location(uri: str) -> str | None:
    """Artifacts lie beside an SQLite database; a server decides on its own."""
    path = database(uri)
    return (path.parent / "mlartifacts").as_uri() if path else None


def repository() -> Path:
    """The user's repository: DVC names it, also to experiments that run in a temporary copy."""
    if root := os.environ.get("DVC_ROOT"):
        return Path(root)
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def provenance() -> dict[str, str]:
    """Tags that say where a run comes from: the DVC experiment and the git commit it is based on."""
    tags = {"experiment": os.environ.get("DVC_EXP_NAME") or "workspace"}
    if commit := os.environ.get("DVC_EXP_BASELINE_REV") or git_commit():
        tags |= {"commit": commit, "mlflow.source.git.commit": commit}
    return tags


def git_commit() -> str | None:
    """The checked-out commit; None without git, a repository or a commit."""
    try:
        command = ["git", "rev-parse", "--verify", "HEAD"]
        found = subprocess.run(command, cwd=repository(), capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, keys joined with dots."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and value
        result |= flat(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return result


def clipped(values: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Values as texts that MLflow takes; a cut one ends in an ellipsis."""
    texts = {key: str(value) for key, value in values.items()}
    longest = LONGEST[kind]
    return {key: text if len(text) <= longest else f"{text[: longest - 1]}…" for key, text in texts.items()}


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end the block by an exception, so that what is open can be closed."""

    def leave(number: int, frame: object) -> None:
        raise SystemExit(128 + number)

    unused = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not unused or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def brief(message: object) -> str:
    """The first line of a message, of which databases have many, without the passwords of addresses."""
    lines = str(message).strip().splitlines() or [type(message).__name__]
    return re.sub(r"//[^/@\s]+@", "//", lines[0])
