"""Sweeps: several experiments of a study in one figure, their curves or their accuracy against a parameter."""

from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from vicreg.compare.output import write
from vicreg.reporting.figures import line_plots, style
from vicreg.reporting.figures.panels import Panel, together
from vicreg.reporting.markdown import code, escape, interval, percent, spread, table

WIDE = 30.0  # the largest value divided by the smallest, from where on an axis is logarithmic
OF_LABELS = "Of several seeds the mean."
OF_VALUES = (
    "Of one seed, in brackets, the 95 % interval over test images; of several seeds the mean ± standard deviation "
    "(n - 1)."
)


def write_online(scores: pd.DataFrame, settings: pd.DataFrame, title: str, stem: Path) -> None:
    """Write `stem`.svg, .png, .md and .csv: top-1 of the online evaluation, a line for each label.

    scores, settings: see `vicreg.compare.experiments.online`. Where a label has several seeds, its line is their mean,
    and a band reaches from the lowest to the highest.
    """
    styles = style.styles(scores["label"].unique(), baseline="")
    panel = Panel(line_plots.ONLINE_LABEL, partial(draw_curves, curves=mean_curves(scores), styles=styles))
    band = "; mean over seeds, band: lowest to highest" if scores.duplicated(["label", "epoch"]).any() else ""
    legend = line_plots.legend({label: [] for label in styles}, styles)
    figure = together([panel], title + band, columns=1, height=3.6, legend=legend)
    write(stem, scores, document(title, online_table(scores, settings), OF_LABELS, stem), figure)


def document(title: str, text: str, note: str, stem: Path) -> str:
    return f"# {escape(title)}\n\n{text}\n\n{note} Every number is in `{stem.name}.csv`.\n"


def complete(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores at the epochs that all seeds of a label have."""
    seeds = (scores.groupby(key)["seed"].transform("nunique") for key in ("label", ["label", "epoch"]))
    return scores[next(seeds) == next(seeds)]


def mean_curves(scores: pd.DataFrame) -> pd.DataFrame:
    """By label and epoch, the mean of top-1 over seeds, with the lowest and highest, at the epochs that all have."""
    return complete(scores).groupby(["label", "epoch"], sort=False)["top1"].agg(["mean", "min", "max"]).reset_index()


def draw_curves(axes: Axes, curves: pd.DataFrame, styles: dict[str, style.Style]) -> None:
    for label, points in curves.groupby("label", sort=False):
        low, mean, high = (100 * points[column] for column in ("min", "mean", "max"))
        axes.fill_between(points["epoch"], low, high, color=styles[label].color, alpha=0.2, lw=0)
        axes.plot(points["epoch"], mean, **styles[label].line(len(points)))
    style.epochs(axes, "epoch of pretraining")


def online_table(scores: pd.DataFrame, settings: pd.DataFrame) -> str:
    """A line for each label: its settings, its seeds, and mean top-1 in percent at each epoch."""
    scores = complete(scores)
    epochs = sorted(scores["epoch"].unique())
    lines = []
    for label, rows in scores.groupby("label", sort=False):
        means = rows.groupby("epoch")["top1"].mean().map(percent).reindex(epochs, fill_value="")
        lines.append([escape(label), *map(escape, settings.loc[label]), seeds_of(rows), *means])
    headers = ["experiment", *map(code, settings), "seeds", *(f"top-1 %, epoch {epoch}" for epoch in epochs)]
    return table(headers, lines, "l" * (len(headers) - len(epochs)) + "r" * len(epochs))


def write_probed(scores: pd.DataFrame, parameter: str, title: str, stem: Path) -> None:
    """Write `stem`.svg, .png, .md and .csv: top-1 of the linear probe on each dataset against a parameter's value.

    scores: see `vicreg.compare.experiments.probed`. Values that are numbers come by their size, others behind them.
    """
    size = pd.to_numeric(scores["value"], errors="coerce")
    scores = scores.assign(size=size).sort_values(["size", "value", "seed"]).drop(columns="size")
    datasets = dict(list(scores.groupby("dataset", sort=False)))
    scores = pd.concat(datasets.values())
    panels = [Panel(key, partial(draw_against, scores=rows, parameter=parameter)) for key, rows in datasets.items()]
    figure = together(panels, title, columns=len(panels), height=3.1)
    write(stem, scores, document(title, probed_table(scores, parameter), OF_VALUES, stem), figure)


def probed_table(scores: pd.DataFrame, parameter: str) -> str:
    """A line for each value: top-1 in percent on each dataset with its interval, or of several seeds their spread."""
    datasets = list(scores["dataset"].unique())
    lines = []
    for value, rows in scores.groupby("value", sort=False):
        lines.append([escape(value), seeds_of(rows), *(cell(rows[rows["dataset"] == name]) for name in datasets)])
    headers = [code(parameter), "seeds", *(f"{escape(name)}, top-1 %" for name in datasets)]
    return table(headers, lines, "ll" + "r" * len(datasets))


def cell(rows: pd.DataFrame) -> str:
    if len(rows) == 1:
        top1, low, high = rows[["top1", "top1_low", "top1_high"]].iloc[0]
        return f"{percent(top1)} ({interval(low, high)})"
    return spread(list(rows["top1"]), percent) if len(rows) else "not run"


def seeds_of(rows: pd.DataFrame) -> str:
    return ", ".join(map(str, sorted(rows["seed"].unique())))


def draw_against(axes: Axes, scores: pd.DataFrame, parameter: str) -> None:
    """Draw top-1 at each value, along an axis of numbers, or side by side where they are none.

    A single seed has its interval over test images; of several each is a circle, and the line joins their means.
    """
    points = 100 * scores.groupby("value", sort=False).agg(
        mean=("top1", "mean"), highest=("top1", "max"), low=("top1_low", "min"), high=("top1_high", "max")
    )
    x = pd.to_numeric(points.index.to_series(), errors="coerce")
    if x.isna().any():
        x = pd.Series(range(len(points)), points.index, dtype=float)
    if x.min() > 0 and x.max() / x.min() > WIDE:
        axes.set_xscale("log")
    several = scores["value"].duplicated().any()
    axes.plot(x, points["mean"], color=style.COLORS[0], marker="D" if several else "o", markersize=4.5)
    if several:
        axes.plot(scores["value"].map(x), 100 * scores["top1"], "o", ms=5, mfc="none", color=style.INK)
    else:
        distances = [points["mean"] - points["low"], points["high"] - points["mean"]]
        axes.errorbar(x, points["mean"], yerr=distances, fmt="none", color=style.COLORS[0], capsize=3)
    axes.set_ylabel(f"top-1 (%), {'each seed (circle) and the mean' if several else '95 % interval'}")
    for value, point in points.iterrows():
        words = f"{'mean ' if (scores['value'] == value).sum() > 1 else ''}{point['mean']:.1f}"
        top = (x[value], point["highest" if several else "high"])
        axes.annotate(words, top, (0, 5), textcoords="offset points", ha="center")
    axes.set_xticks(x, list(points.index))
    axes.minorticks_off()
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(parameter)
