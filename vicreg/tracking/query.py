"""Experiments: what MLflow knows of several DVC experiments of one study, for comparing them."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vicreg.compare.rows import Row
from vicreg.reporting.curves import PROBE, SCORES
from vicreg.tracking import runs

SEED = "seed"  # the parameter in which repetitions of one experiment differ


@dataclass(frozen=True)
class Online:
    """The online evaluation of pretrainings of one encoder.

    rows: label, experiment, seed, epoch, top1, top5. settings: by label, the parameters in which labels differ.
    """

    dataset: str
    rows: list[Row]
    settings: dict[str, dict[str, str]]


def online(given: Sequence[str], study: str, encoder: str) -> Online:
    """Return what MLflow knows of pretrainings while they learned.

    given: names of DVC experiments, or LABEL=A,B for repetitions of one with other seeds; "workspace" is what
    `dvc repro` made. Of each the newest run that finished counts.
    Raises ValueError where one has none, or none that was evaluated while it learned, or is no repetition.
    """
    client, known = tracked(study, encoder, "pretrain", "")
    groups = grouped(given, known)
    found = {name: chosen(name, known) for names in groups.values() for name in names}
    datasets = {run.data.tags["dataset"] for runs in found.values() for run in runs}
    if len(datasets) > 1:
        raise ValueError(f"these experiments learned from different data, {listed(datasets)}")
    params = {name: of_one[0].data.params for name, of_one in found.items()}
    rows: list[Row] = []
    for label, names in groups.items():
        if others := differing(params[name] for name in names) - {SEED}:
            raise ValueError(
                f"the experiments of {label!r} should differ in their seeds alone, and they differ in "
                f"{listed(others)} too: give them labels of their own"
            )
        check_distinct({name: (params[name].get(SEED, ""),) for name in names}, SEED)
        for name in names:
            about = {"label": label, "experiment": name, SEED: params[name].get(SEED, "")}
            rows.extend({**about, **point} for point in curve(client, name, found[name][0]))
    first = {label: params[names[0]] for label, names in groups.items()}
    unlike = sorted(differing(first.values()) - {SEED})
    settings = {label: {key: values.get(key, "") for key in unlike} for label, values in first.items()}
    return Online(datasets.pop(), rows, settings)


def curve(client: Any, name: str, run: Any) -> list[Row]:
    """The online evaluation of one pretraining: epoch, top1, top5."""
    history = {
        score: {point.step: point.value for point in client.get_metric_history(run.info.run_id, f"online/{score}")}
        for score in SCORES
    }
    if not history["top1"]:
        raise ValueError(f"the pretraining of {name!r} has no online evaluation: set `online_every` above 0")
    return [
        {"epoch": epoch, **{score: history[score].get(epoch) for score in SCORES}} for epoch in sorted(history["top1"])
    ]


def probed(names: Sequence[str], study: str, encoder: str, parameter: str) -> list[Row]:
    """Return what the linear probe found: dataset, value, experiment, seed, top1 with its interval, top5.

    parameter: the one that was swept, as -S of `dvc exp run` has it, such as "aug.scale_min"; `value` is its text.
    Raises ValueError as `online` does, and where the experiments do not record or do not differ in that parameter, or
    differ in others than it and the seed: then the figure would show what these did.
    """
    _, known = tracked(study, encoder, "linear_eval", PROBE)
    found = {name: chosen(name, known) for name in dict.fromkeys(names)}
    for name, of_one in found.items():
        if others := differing(run.data.params for run in of_one):
            raise ValueError(f"the datasets of {name!r} were run with different {listed(others)}: run it again")
    params = {name: of_one[0].data.params for name, of_one in found.items()}
    lacking = [name for name, values in params.items() if parameter not in values]
    if lacking:
        known_ones = listed(params[lacking[0]])
        raise ValueError(f"{lacking[0]!r} records no parameter {parameter!r}; it has {known_ones}")
    unlike = differing(params.values())
    if parameter not in unlike:
        raise ValueError(f"these experiments do not differ in {parameter}: name several that do")
    if others := unlike - {parameter, SEED}:
        raise ValueError(
            f"these experiments should differ in {parameter} alone, and they differ in {listed(others)} too"
        )
    check_distinct({name: (values[parameter], values.get(SEED, "")) for name, values in params.items()}, parameter)
    return [
        {
            "dataset": run.data.tags["dataset"],
            "value": run.data.params[parameter],
            "experiment": name,
            SEED: run.data.params.get(SEED, ""),
            **{key: run.data.metrics[key] for key in ("top1", "top1_low", "top1_high", "top5")},
        }
        for name, of_one in found.items()
        for run in of_one
    ]


def grouped(given: Sequence[str], known: Collection[str]) -> dict[str, list[str]]:
    """["a", "best=b,c"] -> {"a": ["a"], "best": ["b", "c"]}; a name that is known is one, whatever is in it."""
    groups: dict[str, list[str]] = {}
    for argument in dict.fromkeys(given):
        label, equals, several = argument.partition("=")
        if argument in known or not equals:
            label, names = argument, [argument]
        else:
            names = several.split(",")
        if not label or not all(names):
            raise ValueError(f"{argument!r} should be the name of an experiment, or LABEL=A,B for several")
        if label in groups:
            raise ValueError(f"the label {label!r} is given twice: name all its experiments at once, LABEL=A,B")
        groups[label] = list(dict.fromkeys(names))
    label_of: dict[str, str] = {}
    for label, names in groups.items():
        for name in names:
            if (other := label_of.setdefault(name, label)) != label:
                raise ValueError(f"the experiment {name!r} is given twice, for {other!r} and {label!r}: name it once")
    return groups


def differing(params: Iterable[dict[str, str]]) -> set[str]:
    """The parameters in which these differ; digests of weights always do."""
    values = list(params)
    keys = {key for one in values for key in one if not key.startswith("digest.")}
    return {key for key in keys if len({one.get(key) for one in values}) > 1}


def check_distinct(values: dict[str, tuple[str, ...]], what: str) -> None:
    """Raise ValueError where two experiments stand for the same value and seed: which of them would be shown?"""
    names: dict[tuple[str, ...], str] = {}
    for name, value in values.items():
        if value in names:
            same = what if what == SEED else f"{what} and {SEED}"
            raise ValueError(f"{names[value]!r} and {name!r} have the same {same}: name one of them")
        names[value] = name


def listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))


def tracked(study: str, encoder: str, stage: str, probe: str) -> tuple[Any, dict[str, list[Any]]]:
    """Return MLflow's client, and by experiment its newest finished run of a stage on each dataset, in their order."""
    uri = runs.tracking_uri()
    place = runs.database(uri)
    if place is not None and not place.is_file():
        raise ValueError(f"there are no runs here, {place} does not exist: run this in the repository of the study")
    client, experiment_id = runs.store(uri)
    wanted = {"stage": stage, "study": study, "encoder": encoder} | ({"probe": probe} if probe else {})
    query = " and ".join(["attributes.status = 'FINISHED'", *(f"tags.{key} = '{v}'" for key, v in wanted.items())])
    newest: dict[str, dict[str, Any]] = {}
    for run in client.search_runs([experiment_id], query, max_results=10_000, order_by=["attributes.start_time DESC"]):
        newest.setdefault(run.data.tags["experiment"], {}).setdefault(run.data.tags["dataset"], run)
    if not newest:
        raise ValueError(f"no experiment has a finished run of {encoder!r} in the study {study!r} (stage {stage})")
    return client, {name: list(of_one.values())[::-1] for name, of_one in newest.items()}


def chosen(name: str, known: dict[str, list[Any]]) -> list[Any]:
    """The runs of this experiment; raises ValueError that lists those that have some."""
    if name not in known:
        tags = next(iter(known.values()))[0].data.tags
        what = f"run of {tags['encoder']!r} in the study {tags['study']!r} (stage {tags['stage']})"
        raise ValueError(f"the experiment {name!r} has no finished {what}; those that have: {listed(known)}")
    return known[name]
