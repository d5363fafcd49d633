"""Every pretraining, probe and report is an MLflow run below its study's; MLflow is imported late, it takes seconds."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vicreg.io import atomic, yaml
from vicreg.tracking import system_metrics
from vicreg.tracking.failures import first_line, sigterm_as_exit, try_or_warn
from vicreg.tracking.provenance import provenance
from vicreg.tracking.store import store, study_run, tracking_uri

DIGITS = 6  # of a metric: what lies behind them is noise, and fills the tables of MLflow's pages


@dataclass(frozen=True, kw_only=True)
class RunTags:
    """What runs are found by, beside experiment and commit; `weights` is the encoder's digest, common to its runs."""

    stage: str
    study: str
    dataset: str
    encoder: str | None = None
    probe: str | None = None
    weights: str | None = None


class Run:
    """One MLflow run that has begun. What the store refuses later is a warning: hours of work weigh more."""

    def __init__(self, client: Any, id: str, study_id: str) -> None:
        self.client, self.id, self.study_id = client, id, study_id
        self.pending: list[Any] = []  # metrics that are not yet in the store
        self.logged: set[tuple[str, int]] = set()  # names and steps that an earlier part of the run brought there
        self.failure = f"MLflow run {id} misses something"

    def metrics(self, values: Mapping[str, float], step: int = 0) -> None:
        """Note numbers by name at a step, such as an epoch, but for what an earlier part of the run logged already.

        They are written together by `flush`, at the end of the run at the latest.
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        new = {name: value for name, value in values.items() if (name, step) not in self.logged}
        self.pending += [Metric(name, float(f"{value:.{DIGITS}g}"), now, step) for name, value in new.items()]

    def artifact(self, path: Path | str, folder: str | None = None) -> None:
        """Copy a file to the run's artifacts."""
        with try_or_warn(self.failure):
            self.client.log_artifact(self.id, str(path), folder)

    def text(self, content: str, name: str) -> None:
        """Log a text as an artifact."""
        with try_or_warn(self.failure):
            self.client.log_text(self.id, content, name)

    def confusion(self, counts: Sequence[Sequence[int]], classes: Sequence[str], title: str) -> None:
        """Log confusion.png: counts (C, C) of images, their true class in rows and the first guess in columns."""
        with try_or_warn(self.failure):
            from matplotlib.figure import Figure
            from sklearn.metrics import ConfusionMatrixDisplay

            figure, few = Figure(figsize=(7, 7), layout="constrained"), len(classes) <= 20
            axes = figure.subplots()
            display = ConfusionMatrixDisplay(np.array(counts), display_labels=classes)
            display.plot(ax=axes, cmap="Blues", include_values=few, xticks_rotation="vertical", colorbar=False)
            axes.tick_params(labelsize=10 if few else 4)
            axes.set_title(title)
            self.client.log_figure(self.id, figure, "confusion.png")

    def tag(self, name: str, value: str) -> None:
        """Set a tag."""
        with try_or_warn(self.failure):
            self.client.set_tag(self.id, name, value)

    def of_study(self) -> "Run":
        """The run of the study that this one belongs to, as something to log to."""
        return Run(self.client, self.study_id, self.study_id)

    def flush(self) -> None:
        """Write the metrics that wait; those that cannot be written wait for the next time."""
        with try_or_warn(self.failure):
            self.client.log_batch(self.id, metrics=self.pending)
            self.pending = []

    def end(self, status: str) -> None:
        """Write what waits and close the run as FINISHED, FAILED or KILLED; its study lasts until its last run ends."""
        self.flush()
        with try_or_warn(self.failure):
            self.client.set_terminated(self.id, status)
            self.client.set_terminated(self.study_id, "FINISHED")


@contextmanager
def run(
    name: str, *, tags: RunTags, fingerprint: str, params: Mapping[str, Any], run_id_file: Path | None = None
) -> Iterator[Run]:
    """Track what happens in the `with` block as one MLflow run, a child of its study's run.

    fingerprint: the data's, a hash in hexadecimal; with `tags.dataset` it is the run's dataset in MLflow.
    params: nested or flat; nested keys are joined with dots.
    run_id_file: a file for the run's id. Where it holds one that the store knows, that run goes on, unless it is
        finished and another experiment's. The name of its folder becomes a tag, by which a run is found that was cut
        off before its id was written.

    The run ends as FINISHED, as FAILED after an exception, as KILLED after Ctrl-C or SIGTERM.
    Raises RuntimeError at the start, before any work, when the store cannot be used.
    """
    try:
        current = start_run(name, tags, fingerprint, params, run_id_file)
    except Exception as error:
        raise RuntimeError(f"no run can be tracked in {first_line(tracking_uri())}: {first_line(error)}") from error
    with sigterm_as_exit():
        try:
            with system_metrics.log_system_metrics(current.id, tracking_uri()):
                yield current
        except BaseException as error:
            current.end("FAILED" if isinstance(error, Exception) else "KILLED")
            raise
        current.end("FINISHED")


def start_run(name: str, tags: RunTags, fingerprint: str, params: Mapping[str, Any], run_id_file: Path | None) -> Run:
    """Resume the run of `run_id_file`, or create one; its tags, dataset and parameters are in the store then."""
    uri = tracking_uri()
    client, experiment_id = store(uri)
    texts = asdict(tags) | provenance() | {"fingerprint": fingerprint, "mlflow.source.name": f"stages.{tags.stage}"}
    texts |= {"mlflow.parentRunId": study_run(uri, tags.study, texts["experiment"])}
    texts |= {"folder": run_id_file and run_id_file.parent.name}
    texts = {key: text for key, text in texts.items() if text}
    earlier = find_run(client, experiment_id, run_id_file, texts["experiment"]) if run_id_file else None
    info = earlier.info if earlier else client.create_run(experiment_id, run_name=name, tags=texts).info
    current = Run(client, info.run_id, texts["mlflow.parentRunId"])
    if earlier:
        reopen(current, earlier.data.metrics, texts)
    if run_id_file:
        with atomic.writing(run_id_file) as file:
            file.write(current.id.encode())
    if not (earlier and earlier.data.params):
        log_data_and_params(current, tags.dataset, fingerprint, params)
    return current


def find_run(client: Any, experiment_id: str, run_id_file: Path, experiment: str) -> Any:
    """The run that the file names, unless another experiment finished it; else a running one of its folder; or None."""
    queries = [f"tags.folder = '{run_id_file.parent.name}' and attributes.status = 'RUNNING'"]
    if run_id_file.exists():
        queries.insert(0, f"attributes.run_id = '{run_id_file.read_text(encoding='utf-8').strip()}'")
    found = (run for query in queries for run in client.search_runs([experiment_id], query))
    return next((r for r in found if r.info.status != "FINISHED" or r.data.tags["experiment"] == experiment), None)


def reopen(run: Run, metrics: Iterable[str], tags: Mapping[str, str]) -> None:
    """Let a run go on, with the tags of this process; the metrics that it has are not logged again."""
    from mlflow.entities import RunTag

    run.client.update_run(run.id, status="RUNNING")
    run.client.log_batch(run.id, tags=[RunTag(key, value) for key, value in tags.items()])
    for name in metrics:
        if not name.startswith(system_metrics.PREFIX):
            run.logged |= {(name, entry.step) for entry in run.client.get_metric_history(run.id, name)}


def log_data_and_params(run: Run, dataset: str, fingerprint: str, params: Mapping[str, Any]) -> None:
    """Log what is known before the work begins; unlike later failures, an error here is raised."""
    from mlflow.entities import Dataset, DatasetInput, Param

    about = {"fingerprint": fingerprint}  # of which MLflow takes 36 characters as its digest
    data = Dataset(dataset, fingerprint[:36], "code", json.dumps({"tags": about}), profile=json.dumps(about))
    run.client.log_inputs(run.id, datasets=[DatasetInput(data)])
    run.client.log_batch(run.id, params=[Param(key, str(value)) for key, value in yaml.flat(params) if value != {}])
