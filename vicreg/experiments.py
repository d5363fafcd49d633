"""Experiments: what MLflow knows of several DVC experiments of one study, for comparing them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vicreg import tracking
from vicreg.reporting.curves import PROBE, SCORES
from vicreg.reporting.rows import Row

SEED = "seed"  # the parameter in which repetitions of one experiment differ


@dataclass(frozen=True)
class Online:
    """The online evaluation of pretrainings of one encoder.

    rows: label, experiment, seed, epoch, top1, top5. settings: by label, the parameters in which labels differ.
    """

    dataset: str
    rows: list[Row]
    settings: dict[str, dict[str, str]]


def online(groups: Mapping[str, Sequence[str]], study: str, encoder: str) -> Online:
    """Return what MLflow knows of pretrainings while they learned.

    groups: by label, the names of DVC experiments that are repetitions of one, with other seeds; "workspace" is what
    `dvc repro` made. Of each the newest run that finished counts.
    Raises ValueError where one has none, or none that was evaluated while it learned, or is no repetition.
    """
    client, found = runs([name for names in groups.values() for name in names], study, encoder, "pretrain", "")
    params = {name: run.data.params for name, (run,) in found.items()}
    rows: list[Row] = []
    for label, names in groups.items():
        if others := differing(params[name] for name in names) - {SEED}:
            raise ValueError(f"{label}: its experiments should differ in {SEED} alone, but do in {told(others)}")
        distinct({name: (params[name].get(SEED, ""),) for name in names}, SEED)
        for name in names:
            (run,) = found[name]
            history = {
                score: {point.step: point.value for point in client.get_metric_history(run.info.run_id, key)}
                for score, key in ((score, f"online/{score}") for score in SCORES)
            }
            if not history["top1"]:
                raise ValueError(f"the pretraining of {name!r} has no online evaluation: set `online_every` above 0")
            about = {"label": label, "experiment": name, SEED: params[name].get(SEED, "")}
            rows.extend(
                {**about, "epoch": epoch, **{score: history[score].get(epoch) for score in SCORES}}
                for epoch in sorted(history["top1"])
            )
    datasets = {run.data.tags["dataset"] for (run,) in found.values()}
    if len(datasets) > 1:
        raise ValueError(f"these experiments learned from different data, {told(datasets)}")
    first = {label: params[names[0]] for label, names in groups.items()}
    unlike = sorted(differing(first.values()) - {SEED})
    settings = {label: {key: values.get(key, "") for key in unlike} for label, values in first.items()}
    return Online(datasets.pop(), rows, settings)


def probed(names: Sequence[str], study: str, encoder: str, parameter: str) -> list[Row]:
    """Return what the linear probe found: dataset, value, experiment, seed, top1 with its interval, top5.

    parameter: the one that was swept, as -S of `dvc exp run` has it, such as "aug.scale_min"; `value` is its text.
    Raises ValueError as `online` does, and where the experiments do not record or do not differ in that parameter, or
    differ in others than it and the seed: then the figure would show what these did.
    """
    _, found = runs(names, study, encoder, "linear_eval", PROBE)
    params = {name: entries[0].data.params for name, entries in found.items()}
    lacking = [name for name, values in params.items() if parameter not in values]
    if lacking:
        known = ", ".join(sorted(params[lacking[0]]))
        raise ValueError(f"{lacking[0]!r} records no parameter {parameter!r}; it has {known}")
    others = differing(params.values())
    if parameter not in others:
        raise ValueError(f"these experiments do not differ in {parameter}: name several that do")
    if others := others - {parameter, SEED}:
        raise ValueError(f"these experiments should differ in {parameter} alone, and they differ in {told(others)} too")
    distinct({name: (values[parameter], values.get(SEED, "")) for name, values in params.items()}, parameter)
    return [
        {
            "dataset": run.data.tags["dataset"],
            "value": run.data.params[parameter],
            "experiment": name,
            SEED: run.data.params.get(SEED, ""),
            **{key: run.data.metrics[key] for key in ("top1", "top1_low", "top1_high", "top5")},
        }
        for name, entries in found.items()
        for run in entries
    ]


def differing(params: Iterable[dict[str, str]]) -> set[str]:
    """The parameters in which these differ; digests of weights always do."""
    values = list(params)
    keys = {key for one in values for key in one if not key.startswith("digest.")}
    return {key for key in keys if len({one.get(key) for one in values}) > 1}


def distinct(about: dict[str, tuple[str, ...]], what: str) -> None:
    """Raise ValueError where two experiments stand for the same value and seed: which of them would be shown?"""
    by_value: dict[tuple[str, ...], str] = {}
    for name, value in about.items():
        if value in by_value:
            same = what if what == SEED else f"{what} and {SEED}"
            raise ValueError(f"{by_value[value]!r} and {name!r} have the same {same}: name one of them")
        by_value[value] = name


def told(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


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
