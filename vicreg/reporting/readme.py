"""The README's result table: a study's metrics.json in a few lines, so that no number there is typed by hand."""

from typing import Any

from vicreg.reporting.markdown import code, interval, percent, points, table
from vicreg.reporting.metrics import BASELINE

MARKS = ("<!-- results: made by vicreg.reporting.readme -->", "<!-- end of results -->")


def results(metrics: dict[str, Any]) -> str:
    """Return the table of one study: top-1 of the linear probe with its interval, and the gain over `random`."""
    datasets = metrics["study"]["datasets"]
    encoders = metrics[next(iter(datasets))]
    rows = [[code(encoder), *(cell(encoder, metrics[key][encoder]) for key in datasets)] for encoder in encoders]
    return table(["encoder", *(entry["name"] for entry in datasets.values())], rows, "l" + "r" * len(datasets))


def cell(encoder: str, entry: dict[str, Any]) -> str:
    """One encoder on one dataset, or in words why there is no number."""
    score = entry.get("linear")
    if score is None:
        return "not run"
    gain = f", {points(score['gain'])}" if "gain" in score and encoder != BASELINE else ""
    return f"{percent(score['top1'])} ({interval(score['top1_low'], score['top1_high'])}){gain}"


def replaced(readme: str, metrics: dict[str, Any]) -> str:
    """Return the README with the part between the marks made anew."""
    (before, rest), last = readme.split(MARKS[0]), MARKS[1]
    return f"{before}{MARKS[0]}\n\n{results(metrics)}\n\n{last}{rest.partition(last)[2]}"
