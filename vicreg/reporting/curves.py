"""Curves as CSV, one row per encoder and epoch, so that any set of encoders plots without naming them."""

import csv
import io
from typing import Any

SCORES = ("top1", "top5")
PROBE = "linear"  # the probe whose accuracy is known after each epoch
INDICATORS = (
    "embedding_std",
    "embedding_correlation",
    "effective_rank",
)  # of collapse, as vicreg.engine.collapse has them
NOT_TERMS = ("epoch", "lr", "images_per_second", "seconds")  # in a history, beside the loss and its terms

Curves = dict[str, list[dict[str, Any]]]


def accuracy_curves(evaluations: dict[str, dict[str, Any]], slot: str) -> Curves:
    """Return {encoder: [{"epoch", "top1", "top5"}, ...]} of the encoders that ran."""
    ran = {name: found["datasets"][slot] for name, found in evaluations.items() if "datasets" in found}
    return {name: found["probes"][PROBE]["curve"] for name, found in ran.items() if PROBE in found["probes"]}


def histories(pretraining: dict[str, dict[str, Any]], key: str = "history") -> Curves:
    """Return {encoder: [{"epoch", "loss", ...}, ...]} of the encoders that learned; `key` may be "online"."""
    return {name: result[key] for name, result in pretraining.items() if result.get(key)}


def terms(curves: Curves) -> list[str]:
    """Return what a method reports per epoch, the loss first; methods may differ in it."""
    names = [name for points in curves.values() for point in points for name in point]
    return ["loss", *dict.fromkeys(name for name in names if name not in (*NOT_TERMS, "loss"))]


def known(curves: Curves, names: tuple[str, ...]) -> list[str]:
    """Return those of `names` that some epoch recorded."""
    return [
        name for name in names if any(point.get(name) is not None for points in curves.values() for point in points)
    ]


def as_csv(curves: Curves, columns: list[str] | tuple[str, ...]) -> str:
    """Return the columns encoder, epoch and `columns`; a cell is empty where there is no value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["encoder", "epoch", *columns])
    for encoder, points in curves.items():
        writer.writerows([encoder, point["epoch"], *(point.get(column) for column in columns)] for point in points)
    return text.getvalue()
