"""Experiments that MLflow tracked, as tidy data frames with a row for each number."""

from collections.abc import Collection, Sequence

import pandas as pd

from vicreg.compare.frames import MACHINE, differing, groups
from vicreg.tracking import query

IGNORED = rf"code|weights|digest\..*|(.*\.)?seed|{MACHINE}"  # parameters that may differ between experiments


def online(given: Sequence[str], study: str, encoder: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the online evaluation of pretrainings, and in which parameters their labels differ.

    given: names of DVC experiments, or LABEL=A,B for repetitions of one with other seeds.
    Scores have the columns dataset, label, experiment, seed, epoch, top1, top5; settings a row for each label.
    Raises ValueError where an experiment has no finished run, or no online evaluation, or is no repetition.
    """
    finished = query.finished_runs(study, encoder, "pretrain")
    label_of = labels(given, set(finished["experiment"]))
    runs = select(finished, label_of).assign(label=lambda runs: runs["experiment"].map(label_of))
    if runs["dataset"].nunique() > 1:
        raise ValueError(f"these experiments pretrained on different datasets, {', '.join(runs['dataset'].unique())}")
    for label, repetitions in groups(runs, "label"):
        if others := different(repetitions):
            raise ValueError(
                f"the experiments of {label!r} should differ in their seeds alone; they differ in {others}"
            )
    check_distinct(runs, ["label", "seed"], "seed")
    curves = []
    for run_id, run in runs.set_index("run_id")[["dataset", "label", "experiment", "seed"]].iterrows():
        curve = query.online_curve(str(run_id))
        if curve.empty:
            raise ValueError(
                f"the pretraining of {run['experiment']!r} has no online evaluation: set `online_eval_every`"
            )
        curves.append(curve.assign(**run)[[*run.index, *curve]])
    first = runs.drop_duplicates("label")
    settings = pd.DataFrame(differing(list(first["params"]), IGNORED), first["label"])
    return pd.concat(curves), settings.sort_index(axis=1)


def probed(names: Sequence[str], study: str, encoder: str, parameter: str) -> pd.DataFrame:
    """Return what the linear probe found: dataset, value, experiment, seed, top1, top1_low, top1_high, top5.

    parameter: the one that was swept, as -S of `dvc exp run` has it, such as "aug.scale_min"; `value` is its text.
    Raises ValueError as `online` does, and where the experiments do not record or do not differ in that parameter, or
    differ in others than it and the seed: then the figure would show what these did.
    """
    runs = select(query.finished_runs(study, encoder, "linear_eval", "linear"), dict.fromkeys(names))
    for name, datasets in groups(runs, "experiment"):
        if others := different(datasets):
            raise ValueError(f"the datasets of {name!r} were run with different {others}: run it again")
    keys = [query.recorded_key(parameter, params) for params in runs["params"]]
    if None in keys:
        name, params = runs[["experiment", "params"]].iloc[keys.index(None)]
        raise ValueError(f"{name!r} records no parameter {parameter!r}; it has {', '.join(sorted(params))}")
    runs["value"] = [params[key] for params, key in zip(runs["params"], keys, strict=True)]
    if runs["value"].nunique() == 1:
        raise ValueError(f"these experiments do not differ in {parameter}: name several that do")
    if others := different(runs, keys):
        raise ValueError(f"these experiments should differ in {parameter} alone; they differ in {others}")
    check_distinct(runs, ["dataset", "value", "seed"], f"{parameter} and seed")
    return runs[["dataset", "value", "experiment", "seed", "top1", "top1_low", "top1_high", "top5"]]


def labels(given: Sequence[str], names: Collection[str]) -> dict[str, str]:
    """["a", "best=b,c"] -> {"a": "a", "b": "best", "c": "best"}; one of `names` is a name, whatever is in it."""
    label_of: dict[str, str] = {}
    for argument in dict.fromkeys(given):
        label, equals, several = argument.partition("=")
        experiments = several.split(",")
        if argument in names or not equals:
            label, experiments = argument, [argument]
        if not label or not all(experiments):
            raise ValueError(f"{argument!r} should be the name of an experiment, or LABEL=A,B for several")
        if label in label_of.values():
            raise ValueError(f"the label {label!r} is given twice: name all its experiments at once, LABEL=A,B")
        for name in dict.fromkeys(experiments):
            if name in label_of:
                raise ValueError(f"the experiment {name!r} is given twice, for {label_of[name]!r} and {label!r}")
            label_of[name] = label
    return label_of


def select(runs: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """The runs of these experiments, in their order, with a column for the seed; raises ValueError that lists all."""
    for name in names:
        if name not in set(runs["experiment"]):
            encoder, study, stage = runs[["encoder", "study", "stage"]].iloc[0]
            raise ValueError(
                f"the experiment {name!r} has no finished run of {encoder!r} in the study {study!r} (stage {stage}); "
                f"those that have: {', '.join(sorted(set(runs['experiment'])))}"
            )
    chosen = runs.set_index("experiment", drop=False).loc[list(names)].reset_index(drop=True)
    return chosen.assign(seed=pd.to_numeric([params.get("seed") for params in chosen["params"]]))


def different(runs: pd.DataFrame, expected: Collection[str | None] = ()) -> str:
    """The parameters in which runs differ, in words, but for the expected ones, seeds, code and digests of weights."""
    return ", ".join(sorted(set(differing(list(runs["params"]), IGNORED)) - set(expected)))


def check_distinct(runs: pd.DataFrame, columns: list[str], what: str) -> None:
    """Raise ValueError where two experiments stand for the same value and seed: which of them would be shown?"""
    for _, same in groups(runs, columns):
        if len(same) > 1:
            one, other = same["experiment"][:2]
            raise ValueError(f"{one!r} and {other!r} have the same {what}: name one of them")
