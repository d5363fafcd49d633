"""Sweeps: several experiments of a study in one figure, their curves or their accuracy against a parameter."""

import csv
import io
from functools import partial
from pathlib import Path

from matplotlib.axes import Axes

from vicreg import atomic
from vicreg.experiments import Point
from vicreg.reporting import figures, style
from vicreg.reporting.panels import Panel, together

WIDE = 30.0  # the largest value divided by the smallest, from where on an axis is logarithmic


def write_online(curves: dict[str, list[Point]], title: str, stem: Path) -> None:
    """Write `stem`.svg, .png and .csv: top-1 of the online evaluation, a line for each experiment."""
    looks = style.styles(curves, baseline="")
    panels = figures.online_panels(curves, looks)
    drawn = together(panels, title, columns=1, height=3.6, legend=figures.legend(curves, looks))
    style.save(drawn, stem)
    rows = [{"experiment": name, **point} for name, points in curves.items() for point in points]
    write_csv(rows, stem.with_suffix(".csv"))


def write_probed(points: dict[str, list[Point]], parameter: str, title: str, stem: Path) -> None:
    """Write `stem`.svg, .png and .csv: top-1 of the linear probe on each dataset against the value of a parameter."""
    ordered = {dataset: sorted(found, key=lambda point: position(point["value"])) for dataset, found in points.items()}
    panels = [Panel(dataset, partial(against, points=found, parameter=parameter)) for dataset, found in ordered.items()]
    style.save(together(panels, title, columns=len(panels), height=3.1), stem)
    rows = [{"dataset": dataset, **point} for dataset, found in ordered.items() for point in found]
    write_csv(rows, stem.with_suffix(".csv"))


def against(axes: Axes, points: list[Point], parameter: str) -> None:
    """Draw top-1 with its interval at each value: along an axis of numbers, or side by side where they are none."""
    numbers = [number(point["value"]) for point in points]
    if all(value is not None for value in numbers):
        x = [value for value in numbers if value is not None]
        if min(x) > 0 and max(x) / min(x) > WIDE:
            axes.set_xscale("log")
    else:
        x = [float(place) for place in range(len(points))]
    top1 = [100 * point["top1"] for point in points]
    below = [100 * (point["top1"] - point["top1_low"]) for point in points]
    above = [100 * (point["top1_high"] - point["top1"]) for point in points]
    axes.errorbar(x, top1, yerr=[below, above], color=style.COLOURS[0], marker="o", markersize=4.5, capsize=3)
    for place, height, up in zip(x, top1, above, strict=True):
        axes.annotate(f"{height:.1f}", (place, height + up), (0, 4), textcoords="offset points", ha="center")
    axes.set_xticks(x, [str(point["value"]) for point in points])
    axes.minorticks_off()
    axes.margins(x=0.12, y=0.15)
    axes.set_xlabel(parameter)
    axes.set_ylabel("top-1 (%), 95 % interval")


def number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def position(text: str) -> tuple[float, str]:
    """By which values are sorted: numbers first, by their size."""
    value = number(text)
    return (float("inf") if value is None else value, text)


def write_csv(rows: list[Point], path: Path) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic.writing(path) as file:
        file.write(text.getvalue().encode())
