"""Experiments: what MLflow knows of several DVC experiments of one study, for comparing them."""

from collections.abc import Sequence
from typing import Any

from vicreg import tracking
from vicreg.reporting.curves import PROBE, SCORES

Point = dict[str, Any]


def online(names: Sequence[str], study: str, encoder: str) -> tuple[str, dict[str, list[Point]]]:
    """Return the dataset, and by experiment the online evaluation of its pretraining: epoch, top1, top5.

    names: of DVC experiments; "workspace" is what `dvc repro` made. Of each the newest run that finished counts.
    Raises ValueError where one has none, or none that was evaluated while it learned.
    """
    client, found = runs(names, study, encoder, "pretrain", "")
    curves = {}
    for name, (run,) in found.items():
        history = {
            score: {entry.step: entry.value for entry in client.get_metric_history(run.info.run_id, f"online/{score}")}
            for score in SCORES
        }
        if not history["top1"]:
            raise ValueError(f"the pretraining of {name!r} has no online evaluation: set `online_every` above 0")
        curves[name] = [
            {"epoch": epoch, **{score: history[score].get(epoch) for score in SCORES}}
            for epoch in sorted(history["top1"])
        ]
    datasets = {run.data.tags["dataset"] for (run,) in found.values()}
    if len(datasets) > 1:
        raise ValueError(f"these experiments learned from different data, {', '.join(sorted(datasets))}")
    return datasets.pop(), curves


def probed(names: Sequence[str], study: str, encoder: str, parameter: str) -> dict[str, list[Point]]:
    """Return by dataset what the linear probe found in each experiment: experiment, value, top1 with interval, top5.

    parameter: the one that was swept, as -S of `dvc exp run` has it, such as "aug.scale_min"; `value` is its text.
    Raises ValueError as `online` does, and where the experiments do not record or do not differ in that parameter, or
    differ in others too: then the figure would show what these did.
    """
    _, found = runs(names, study, encoder, "linear_eval", PROBE)
    one = {name: entries[0].data.params for name, entries in found.items()}
    lacking = [name for name, params in one.items() if parameter not in params]
    if lacking:
        known = ", ".join(sorted(next(iter(one.values()))))
        raise ValueError(f"{lacking[0]!r} records no parameter {parameter!r}; it has {known}")
    keys = {key for params in one.values() for key in params if not key.startswith("digest.")}
    differing = {key for key in keys if len({params.get(key) for params in one.values()}) > 1}
    if parameter not in differing:
        raise ValueError(f"these experiments do not differ in {parameter}: name several that do")
    if others := ", ".join(sorted(differing - {parameter})):
        raise ValueError(f"these experiments should differ in {parameter} alone, and they differ in {others} too")
    points: dict[str, list[Point]] = {}
    for name, entries in found.items():
        for run in entries:
            scores = {key: run.data.metrics[key] for key in ("top1", "top1_low", "top1_high", "top5")}
            value = run.data.params[parameter]
            points.setdefault(run.data.tags["dataset"], []).append({"experiment": name, "value": value, **scores})
    return points


def runs(names: Sequence[str], study: str, encoder: str, stage: str, probe: str) -> tuple[Any, dict[str, list[Any]]]:
    """Return MLflow's client, and by experiment its newest finished run of a stage on each dataset, in their order."""
    uri = tracking.tracking_uri()
    place = tracking.database(uri)
    if place is not None and not place.is_file():
        raise ValueError(f"there are no runs here, {place} does not exist: run this in the repository of the study")
    client, experiment_id = tracking.store(uri)
    wanted = {"stage": stage, "study": study, "encoder": encoder} | ({"probe": probe} if probe else {})
    query = " and ".join(["attributes.status = 'FINISHED'", *(f"tags.{key} = '{v}'" for key, v in wanted.items())])
    newest: dict[str, dict[str, Any]] = {}
    for run in client.search_runs([experiment_id], query, max_results=10_000, order_by=["attributes.start_time DESC"]):
        newest.setdefault(run.data.tags["experiment"], {}).setdefault(run.data.tags["dataset"], run)
    absent = [name for name in names if name not in newest]
    if absent:
        known = ", ".join(sorted(newest)) or "none"
        what = f"run of {encoder!r} in the study {study!r} (stage {stage})"
        raise ValueError(f"the experiment {absent[0]!r} has no finished {what}; those that have: {known}")
    return client, {name: list(newest[name].values())[::-1] for name in names}
