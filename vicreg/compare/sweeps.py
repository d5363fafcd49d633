"""Sweeps: several experiments of a study in one figure, their curves or their accuracy against a parameter."""

from functools import partial
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes

from vicreg.compare.rows import Row, by, write
from vicreg.io import atomic
from vicreg.reporting.curves import Curves
from vicreg.reporting.figures import line_plots, style
from vicreg.reporting.figures.panels import Panel, together
from vicreg.reporting.markdown import code, escape, interval, percent, spread, table
from vicreg.tracking.query import SEED, Online

WIDE = 30.0  # the largest value divided by the smallest, from where on an axis is logarithmic
TOP1, LOW, HIGH = "top1", "lowest", "highest"


def write_online(found: Online, title: str, stem: Path) -> None:
    """Write `stem`.svg, .png, .md and .csv: top-1 of the online evaluation, a line for each label.

    Where a label has several seeds, its line is their mean, and a band reaches from the lowest to the highest.
    """
    curves, rows = mean_curves(found.rows), found.rows
    looks = style.styles(curves, baseline="")
    (lines,) = line_plots.online_panels(curves, looks)
    panel = Panel(lines.title, partial(online, lines=lines, curves=curves, looks=looks))
    repeated = any(repetitions(of_one) > 1 for of_one in by(rows, "label").values())
    words = f"{title}{'; mean over seeds, band: lowest to highest' if repeated else ''}"
    style.save(together([panel], words, columns=1, height=3.6, legend=line_plots.legend(curves, looks)), stem)
    write(rows, stem.with_suffix(".csv"))
    write_document(title, online_table(found, curves), "Of several seeds the mean.", stem)


def online_table(found: Online, curves: Curves) -> str:
    """A line for each label: what it ran with, and top-1 in percent at each epoch, the mean where several seeds ran."""
    epochs = sorted({point["epoch"] for points in curves.values() for point in points})
    unlike = list(next(iter(found.settings.values())))
    lines = []
    for label, rows in by(found.rows, "label").items():
        at = {point["epoch"]: percent(point[TOP1]) for point in curves[label]}
        settings = [escape(found.settings[label][key]) for key in unlike]
        lines.append([escape(label), *settings, seeds_of(rows), *(at.get(epoch, "") for epoch in epochs)])
    headers = ["experiment", *map(code, unlike), "seeds", *(f"top-1 %, epoch {epoch}" for epoch in epochs)]
    return table(headers, lines, "l" * (len(unlike) + 2) + "r" * len(epochs))


def write_document(title: str, text: str, note: str, stem: Path) -> None:
    with atomic.writing(stem.with_suffix(".md")) as file:
        file.write(f"# {escape(title)}\n\n{text}\n\n{note} Every number is in `{stem.name}.csv`.\n".encode())


def online(axes: Axes, lines: Panel, curves: Curves, looks: dict[str, style.Style]) -> None:
    for label, points in curves.items():
        low, high = ([100 * point[bound] for point in points] for bound in (LOW, HIGH))
        axes.fill_between([point["epoch"] for point in points], low, high, color=looks[label].color, alpha=0.2, lw=0)
    lines.draw(axes)


def mean_curves(rows: list[Row]) -> Curves:
    """By label, the mean of top-1 over its seeds, with the lowest and highest, at the epochs that all have."""
    curves: Curves = {}
    for label, found in by(rows, "label").items():
        at = {epoch: [row[TOP1] for row in same] for epoch, same in by(found, "epoch").items()}
        curves[label] = [
            {"epoch": epoch, TOP1: fmean(values), LOW: min(values), HIGH: max(values)}
            for epoch, values in at.items()
            if len(values) == repetitions(found)
        ]
    return curves


def write_probed(rows: list[Row], parameter: str, title: str, stem: Path) -> None:
    """Write `stem`.svg, .png, .md and .csv: top-1 of the linear probe on each dataset against a parameter's value."""
    rows = sorted(rows, key=lambda row: (position(row["value"]), position(row[SEED])))
    datasets = by(rows, "dataset")
    panels = [Panel(name, partial(against, rows=found, parameter=parameter)) for name, found in datasets.items()]
    style.save(together(panels, title, columns=len(panels), height=3.1), stem)
    write([row for found in datasets.values() for row in found], stem.with_suffix(".csv"))
    note = (
        "Of one seed, in brackets, the 95 % interval over test images; of several seeds the mean ± standard deviation "
        "(n - 1)."
    )
    write_document(title, probed_table(datasets, parameter), note, stem)


def probed_table(datasets: dict[str, list[Row]], parameter: str) -> str:
    """A line for each value: top-1 in percent on each dataset with its interval, or of several seeds their spread."""
    lines = []
    for value, rows in by([row for found in datasets.values() for row in found], "value").items():
        cells = (by(rows, "dataset").get(dataset, []) for dataset in datasets)
        lines.append([escape(value), seeds_of(rows), *map(cell, cells)])
    return table(
        [code(parameter), "seeds", *(f"{escape(name)}, top-1 %" for name in datasets)],
        lines,
        "ll" + "r" * len(datasets),
    )


def cell(rows: list[Row]) -> str:
    if len(rows) == 1:
        return f"{percent(rows[0][TOP1])} ({interval(rows[0]['top1_low'], rows[0]['top1_high'])})"
    return spread([row[TOP1] for row in rows], percent) if rows else "not run"


def against(axes: Axes, rows: list[Row], parameter: str) -> None:
    """Draw top-1 at each value, along an axis of numbers, or side by side where they are none.

    A single seed has its interval over test images; of several each is a circle, and the line joins their means.
    """
    values = by(rows, "value")
    x = places(list(values))
    if min(x) > 0 and max(x) / min(x) > WIDE:
        axes.set_xscale("log")
    found = [[100 * row[TOP1] for row in same] for same in values.values()]
    means, tops = [fmean(top1) for top1 in found], [max(top1) for top1 in found]
    several = max(map(len, found)) > 1
    axes.plot(x, means, color=style.COLOURS[0], marker="D" if several else "o", markersize=4.5)
    if several:
        for place, top1 in zip(x, found, strict=True):
            axes.plot([place] * len(top1), top1, "o", markersize=5, markerfacecolor="none", color=style.INK)
        axes.set_ylabel("top-1 (%), each seed (circle) and the mean")
    else:
        below, above = ([100 * abs(row[TOP1] - row[f"top1_{end}"]) for row in rows] for end in ("low", "high"))
        axes.errorbar(x, means, yerr=[below, above], fmt="none", color=style.COLOURS[0], capsize=3)
        tops = [top + up for top, up in zip(tops, above, strict=True)]
        axes.set_ylabel("top-1 (%), 95 % interval")
    for place, mean, top, top1 in zip(x, means, tops, found, strict=True):
        told = f"{'mean ' if len(top1) > 1 else ''}{mean:.1f}"
        axes.annotate(told, (place, top), (0, 5), textcoords="offset points", ha="center")
    axes.set_xticks(x, list(values))
    axes.minorticks_off()
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(parameter)


def repetitions(rows: list[Row]) -> int:
    return len({row[SEED] for row in rows})


def seeds_of(rows: list[Row]) -> str:
    return ", ".join(sorted({row[SEED] for row in rows}, key=position))


def places(values: list[str]) -> list[float]:
    """Where on the axis the values stand: numbers where they are, others one after the other."""
    numbers = [number(value) for value in values]
    known = [value for value in numbers if value is not None]
    return known if len(known) == len(values) else [float(place) for place in range(len(values))]


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def position(text: str) -> tuple[float, str]:
    """By which values are sorted: numbers first, by their size."""
    value = number(text)
    return (float("inf") if value is None else value, text)
