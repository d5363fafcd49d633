"""Sweeps: several experiments of a study in one figure, their curves or their accuracy against a parameter."""

from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from vicreg.compare.frames import groups, in_order, write
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, together
from vicreg.reporting.markdown import code, escape, interval, percent, spread, table

WIDE = 30.0  # the largest value divided by the smallest, from where on an axis is logarithmic
DOCUMENT = "# {}\n\n{}\n\n{} Every number is in `{}.csv`.\n"
BRACKETS = "In brackets the 95 % interval over test images; of several seeds the mean ± standard deviation (n - 1)."


def write_online(scores: pd.DataFrame, settings: pd.DataFrame, title: str, stem: Path) -> None:
    """Write `stem`.svg, .png, .md and .csv: top-1 of the online evaluation, a line for each label.

    scores, settings: see `vicreg.compare.experiments.online`. The line of several seeds is their mean, in a band.
    """
    styles = style.styles(scores["label"].unique(), baseline="", repeat=False)
    draw = partial(draw_curves, curves=mean_curves(scores), styles=styles)
    band = "; mean over seeds, band: lowest to highest" if scores.duplicated(["label", "epoch"]).any() else ""
    legend = {label: styles[label].line(1) for label in styles}
    panel = Panel("online linear evaluation, top-1 (%)", draw)
    figure = together([panel], title + band, columns=1, height=3.6, legend=legend)
    text = DOCUMENT.format(escape(title), online_table(scores, settings), "Of several seeds the mean.", stem.name)
    write(stem, scores, text, figure)


def mean_curves(scores: pd.DataFrame) -> pd.DataFrame:
    """label, epoch, and mean, min and max of top-1 over the seeds of a label, at the epochs that all of them have."""
    curves = scores.groupby(["label", "epoch"], sort=False)["top1"].agg(["mean", "min", "max", "size"]).reset_index()
    seeds = scores.groupby("label")["seed"].nunique()
    return curves[curves["size"] == curves["label"].map(seeds)].drop(columns="size")


def draw_curves(axes: Axes, curves: pd.DataFrame, styles: dict[str, style.Style]) -> None:
    """Draw each label's mean over the epochs, and a band from its lowest to its highest seed."""
    for label, points in groups(curves, "label"):
        low, mean, high = (100 * points[column] for column in ("min", "mean", "max"))
        axes.fill_between(points["epoch"], low, high, color=styles[label].color, alpha=0.2, lw=0)
        axes.plot(points["epoch"], mean, **styles[label].line(len(points)))
    style.epochs(axes, "epoch of pretraining")


def online_table(scores: pd.DataFrame, settings: pd.DataFrame) -> str:
    """A line for each label: its settings, its seeds, and mean top-1 in percent at each epoch."""
    means = mean_curves(scores).pivot(index="label", columns="epoch", values="mean").map(percent, na_action="ignore")
    means = means.reindex(scores["label"].unique()).fillna("")
    lines = [
        [escape(label), *map(escape, settings.loc[label].to_list()), seeds_of(rows), *means.loc[label]]
        for label, rows in groups(scores, "label")
    ]
    headers = ["experiment", *map(code, settings.columns.to_list()), "seeds"]
    epochs = [f"top-1 %, epoch {epoch}" for epoch in means]
    return table([*headers, *epochs], lines, "l" * len(headers) + "r" * len(epochs))


def write_probed(scores: pd.DataFrame, parameter: str, title: str, stem: Path) -> None:
    """Write `stem`.svg, .png, .md and .csv: top-1 of the linear probe on each dataset against a parameter's value.

    scores: see `vicreg.compare.experiments.probed`. Values that are numbers come by their size, others behind them.
    """
    size = pd.to_numeric(scores["value"], errors="coerce")
    scores = scores.assign(size=size).sort_values(["size", "value", "seed"]).drop(columns="size")
    scores = in_order(scores, ["dataset", "value"])
    draw = partial(draw_against, parameter=parameter)
    panels = [Panel(key, partial(draw, scores=rows)) for key, rows in groups(scores, "dataset")]
    figure = together(panels, title, columns=len(panels), height=3.1)
    text = DOCUMENT.format(escape(title), probed_table(scores, parameter), BRACKETS, stem.name)
    write(stem, scores, text, figure)


def probed_table(scores: pd.DataFrame, parameter: str) -> str:
    """A line for each value: top-1 in percent on each dataset with its interval, or of several seeds their spread."""
    datasets = list(scores["dataset"].unique())
    lines = [
        [escape(value), seeds_of(rows), *(cell(rows[rows["dataset"] == name]) for name in datasets)]
        for value, rows in groups(scores, "value")
    ]
    headers = [code(parameter), "seeds", *(f"{escape(name)}, top-1 %" for name in datasets)]
    return table(headers, lines, "ll" + "r" * len(datasets))


def cell(rows: pd.DataFrame) -> str:
    """Return top-1 in percent with its interval, of several seeds with their spread."""
    if len(rows) == 1:
        top1, low, high = rows[["top1", "top1_low", "top1_high"]].iloc[0]
        return f"{percent(top1)} ({interval(low, high)})"
    return spread(list(rows["top1"]), percent) if len(rows) else "not run"


def seeds_of(rows: pd.DataFrame) -> str:
    """Return the seeds of some runs as text, "0, 1"."""
    return ", ".join(map(str, sorted(rows["seed"].unique())))


def draw_against(axes: Axes, scores: pd.DataFrame, parameter: str) -> None:
    """Draw top-1 at each value, along an axis of numbers, or side by side where they are none.

    A single seed has its interval over test images; of several each is a circle, and the line joins their means.
    """
    several = scores["value"].duplicated().any()
    top = ("top1" if several else "top1_high", "max")
    points = 100 * scores.groupby("value", sort=False).agg(mean=("top1", "mean"), low=("top1_low", "min"), top=top)
    x = pd.to_numeric(points.index.to_series(), errors="coerce")
    if x.isna().any():
        x = pd.Series(range(len(points)), points.index, dtype=float)
    if x.min() > 0 and x.max() / x.min() > WIDE:
        axes.set_xscale("log")
    axes.plot(x, points["mean"], color=style.COLORS[0], marker="D" if several else "o", markersize=4.5)
    if several:
        axes.plot(scores["value"].map(x), 100 * scores["top1"], "o", ms=5, mfc="none", color=style.INK)
    else:
        distances = [points["mean"] - points["low"], points["top"] - points["mean"]]
        axes.errorbar(x, points["mean"], yerr=distances, fmt="none", color=style.COLORS[0], capsize=3)
    axes.set_ylabel(f"top-1 (%), {'each seed (circle) and the mean' if several else '95 % interval'}")
    axes.set_xticks(x, [f"{value}\n{mean:.1f}" for value, mean in points["mean"].items()])
    axes.minorticks_off()
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(f"{parameter}; below it {'mean ' if several else ''}top-1 (%)")
