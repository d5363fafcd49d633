"""Experiments that MLflow tracked, as tidy data frames with a row for each number."""

import re
from collections.abc import Collection, Sequence

import pandas as pd

from vicreg.compare.frames import MACHINE, check_alike, check_distinct, differing, groups
from vicreg.tracking import query

FREE = rf"code|weights|digest\..*|(.*\.)?seed|{MACHINE}"  # parameters that may differ between experiments


def online(given: Sequence[str], study: str, encoder: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the online evaluation of pretrainings, and in which parameters their labels differ.

    given: names of DVC experiments, or LABEL=A,B for repetitions of one with other seeds.
    Scores have the columns dataset, label, experiment, seed, epoch, top1, top5; settings a row for each label.
    Raises ValueError where an experiment has no finished run, or no online evaluation, or is no repetition.
    """
    finished = query.finished_runs(study, encoder, "pretrain")
    label_of = labels(given, set(finished["experiment"]))
    runs = select(finished, label_of)
    runs["label"] = runs["experiment"].map(label_of)
    if len(datasets := runs["dataset"].unique()) > 1:
        raise ValueError(f"these experiments pretrained on different datasets, {', '.join(datasets)}")
    for label, repetitions in groups(runs, "label"):
        check_alike(list(repetitions["params"]), FREE, f"those of {label!r} should differ in their seeds alone")
    check_distinct(runs, ["label", "seed"], "experiment")
    curves = {run["experiment"]: query.online_curve(run["run_id"]) for _, run in runs.iterrows()}
    if blind := [name for name, curve in curves.items() if curve.empty]:
        raise ValueError(
            f"the pretraining of {blind[0]!r} has no online evaluation: set `online_eval_every`, or it collapsed"
        )
    scores = pd.concat(curves, names=["experiment"]).reset_index("experiment")
    first = runs.drop_duplicates("label")
    settings = pd.DataFrame(differing(list(first["params"]), FREE), first["label"])
    return runs[["dataset", "label", "experiment", "seed"]].merge(scores, on="experiment"), settings.sort_index(axis=1)


def probed(names: Sequence[str], study: str, encoder: str, parameter: str) -> pd.DataFrame:
    """Return what the linear probe found: dataset, value, experiment, seed, top1, top1_low, top1_high, top5.

    parameter: the one that was swept, as -S of `dvc exp run` has it, such as "aug.scale_min"; `value` is its text.
    Raises ValueError as `online` does, and where the experiments do not record or do not differ in that parameter, or
    differ in others than it and the seed: then the figure would show what these did.
    """
    runs = select(query.finished_runs(study, encoder, "linear_eval", "linear"), dict.fromkeys(names))
    for name, datasets in groups(runs, "experiment"):
        check_alike(list(datasets["params"]), FREE, f"run {name!r} again, on all datasets with the same parameters")
    keys = [query.recorded_key(parameter, params) or "" for params in runs["params"]]
    if "" in keys:
        name, params = runs[["experiment", "params"]].iloc[keys.index("")]
        raise ValueError(f"{name!r} records no parameter {parameter!r}; it has {', '.join(sorted(params))}")
    runs["value"] = [params[key] for params, key in zip(runs["params"], keys, strict=True)]
    if runs["value"].nunique() == 1:
        raise ValueError(f"these experiments do not differ in {parameter}: name several that do")
    free = "|".join([FREE, *map(re.escape, keys)])
    check_alike(list(runs["params"]), free, f"these experiments should differ in {parameter} alone")
    check_distinct(runs, ["dataset", "value", "seed"], "experiment")
    return runs[["dataset", "value", "experiment", "seed", "top1", "top1_low", "top1_high", "top5"]]


def labels(given: Sequence[str], names: Collection[str]) -> dict[str, str]:
    """["a", "best=b,c"] -> {"a": "a", "b": "best", "c": "best"}; one of `names` is a name, whatever is in it."""
    label_of: dict[str, str] = {}
    for argument in given:
        label, equals, several = argument.partition("=")
        experiments = several.split(",")
        if argument in names or not equals:
            label, experiments = argument, [argument]
        for name in experiments:
            if not (label and name):
                raise ValueError(f"{argument!r} should be the name of an experiment, or LABEL=A,B for several")
            if label_of.setdefault(name, label) != label:
                raise ValueError(f"the experiment {name!r} is given twice, for {label_of[name]!r} and {label!r}")
    return label_of


def select(runs: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """The runs of these experiments, in their order, with a column for the seed; raises ValueError that lists all."""
    recorded = sorted(set(runs["experiment"]))
    if missing := [name for name in names if name not in recorded]:
        encoder, study, stage = runs[["encoder", "study", "stage"]].iloc[0]
        where = f"of {encoder!r} in the study {study!r} (stage {stage})"
        problem = f"{missing[0]!r} has no finished run {where}; those that have: {', '.join(recorded)}"
        raise ValueError(f"{problem}. (What DVC took from its cache has the name under which it ran first.)")
    chosen = runs.set_index("experiment", drop=False).loc[list(names)].reset_index(drop=True)
    return chosen.assign(seed=pd.to_numeric([params.get("seed") for params in chosen["params"]]))
