"""Finished MLflow runs as data frames."""

import re
from collections.abc import Collection

import pandas as pd

from vicreg.tracking import store

KEYS = (  # an address in params.yaml, as -S of `dvc exp run` has it -> the key that a run's recipe has
    (r"(aug|policies\.[^.]+)\.", "policy."),
    (r"methods\.[^.]+\.", "method."),
    (r"backbones\.[^.]+\.", "backbone."),
    (r"(probes|(studies|encoders)\.[^.]+)\.", ""),
)


def finished_runs(study: str, encoder: str, stage: str, probe: str = "") -> pd.DataFrame:
    """Return the newest finished run of each DVC experiment on each dataset, those that began first on top.

    Columns: run_id; params, a dictionary of texts; the run's tags, such as experiment and dataset; its metrics.
    An experiment is called "workspace" where `dvc repro` ran it. Raises ValueError where there is no run.
    """
    uri = store.tracking_uri()
    if (database := store.database(uri)) and not database.is_file():
        raise ValueError(f"there are no runs here, {database} does not exist: run this in the repository of the study")
    client, experiment_id = store.store(uri)
    tags = {"stage": stage, "study": study, "encoder": encoder} | ({"probe": probe} if probe else {})
    query = " and ".join([f"tags.{key} = '{tag}'" for key, tag in tags.items()] + ["attributes.status = 'FINISHED'"])
    newest = client.search_runs([experiment_id], query, max_results=10_000, order_by=["attributes.start_time DESC"])
    if not newest:
        raise ValueError(f"no experiment has a finished run of {encoder!r} in the study {study!r} (stage {stage})")
    rows = [{"run_id": r.info.run_id, "params": r.data.params, **r.data.tags, **r.data.metrics} for r in newest]
    return pd.DataFrame(rows).drop_duplicates(["experiment", "dataset"])[::-1]


def online_curve(run_id: str) -> pd.DataFrame:
    """Return the online evaluation of a pretraining: epoch, top1, top5; without rows where there was none."""
    client, _ = store.store(store.tracking_uri())
    history = {score: client.get_metric_history(run_id, f"online/{score}") for score in ("top1", "top5")}
    scores = {score: {point.step: point.value for point in points} for score, points in history.items()}
    return pd.DataFrame(scores).sort_index().rename_axis("epoch").reset_index()


def recorded_key(parameter: str, params: Collection[str]) -> str | None:
    """Return the one of the keys `params` of a run that an address in params.yaml leads to; None where none does.

    "aug.scale_min" leads to "policy.scale_min", and "encoders.cifar_aug.policy" to "policy.name".
    """
    key = parameter
    for address, prefix in KEYS:
        key = re.sub(f"^{address}", prefix, key)
    within = [name for name in params if name.endswith(f".{key}")]
    choices = [key, f"{key}.name", parameter, *(within if len(within) == 1 else [])]
    return next((name for name in choices if name in params), None)
