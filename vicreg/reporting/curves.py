"""Curves over epochs, and as CSV with a line per row and epoch, so that any set of rows plots without naming them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from vicreg.reporting.study import Results

SCORES = ("top1", "top5")
PROBE = "linear"  # the probe whose accuracy is known after each epoch
INDICATORS = ("embedding_std", "embedding_correlation", "effective_rank")  # of collapse: `vicreg.engine.collapse`
NOT_TERMS = (
    "epoch",
    "lr",
    "images_per_second",
    "seconds",
    *INDICATORS,
    "max_rank",
)  # in a history, beside the loss and its terms

Curves = dict[str, list[dict[str, Any]]]


def probe_results(evaluations: Results, role: str) -> dict[str, Results]:
    """Return {row: {probe: result}} of the rows that ran on the dataset of this role."""
    datasets = {row: evaluation.get("datasets", {}).get(role, {}) for row, evaluation in evaluations.items()}
    return {row: dataset["probes"] for row, dataset in datasets.items() if "probes" in dataset}


def histories(pretraining: Results, key: str = "history") -> Curves:
    """Return {row: [{"epoch", "loss", ...}, ...]} of the rows that trained; `key` may be "online"."""
    return {row: result[key] for row, result in pretraining.items() if result.get(key)}


def terms(curves: Curves) -> list[str]:
    """Return what was logged per epoch, the loss first; methods may differ in the terms."""
    names = dict.fromkeys(name for points in curves.values() for point in points for name in point)
    return ["loss", *(name for name in names if name not in (*NOT_TERMS, "loss"))]


def series(points: list[dict[str, Any]], name: str) -> list[tuple[int, float]]:
    """Return (epoch, value) of the epochs that recorded `name`."""
    return [(point["epoch"], point[name]) for point in points if point.get(name) is not None]


def as_csv(curves: Curves, columns: Sequence[str]) -> str:
    """Return the columns encoder (the row), epoch and `columns`; a cell is empty where there is no value."""
    lines = [{"encoder": row, **point} for row, points in curves.items() for point in points]
    table = pd.DataFrame(lines, columns=["encoder", "epoch", *columns], dtype=object)
    return table.to_csv(index=False, lineterminator="\n")
