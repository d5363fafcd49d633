"""One style for all figures: rows differ in gray and for every eye, and the bytes are the same every time."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps, rc_context, rc_params_from_file
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

RC: Any = rc_params_from_file(Path(__file__).with_name("report.mplstyle"), use_default_template=False)
INK, FAINT, GRAY = "#333333", "#dddddd", "#777777"  # the first two as in that file
# Okabe and Ito, Color Universal Design, 2008: distinct with every kind of color vision; then four darker ones.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8b1a56", "#3d2b8f", "#7d7a14", "#661100")
# After Tol's muted scheme: ten classes, which differ in marker too, all dark enough to be seen on white.
CLASS_COLORS: tuple[str, ...] = ("#332288", "#cc6677", "#117733", "#3b9ec9", "#882255")
CLASS_COLORS += ("#999933", "#2a9d8f", "#aa4499", "#b8860b", "#555555")
CLASS_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")
MARKER_SIZES = {"s": 0.85, "D": 0.75, "*": 1.4, "P": 1.1, "X": 1.1} | dict.fromkeys("o^v<>", 1.0)  # look equal
LINES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")


@dataclass(frozen=True)
class Style:
    """What a row looks like in every figure."""

    color: str
    linestyle: Any
    marker: str

    def line(self, points: int) -> dict[str, Any]:
        """Keyword arguments for a line of so many points: about ten markers, one of them at its end."""
        step = max(1, points // 10)
        line = {"color": self.color, "linestyle": self.linestyle, "marker": self.marker}
        return line | {"markevery": (max(0, points - 1) % step, step), "markersize": 4.5, "linewidth": 1.6}


def styles(rows: Iterable[str], baseline: str = "random", repeat: bool = True) -> dict[str, Style]:
    """Return a style per row, in order; the baseline is gray. repeat: colors may come again, with other lines."""
    names = list(rows)
    many = not repeat and len(names) > len(COLORS)
    colors = map(to_hex, colormaps["turbo"](np.linspace(0, 1, len(names)))) if many else COLORS
    others = zip(cycle(colors), cycle(LINES), cycle(MARKERS), strict=False)
    return {row: Style(GRAY, (0, (2, 1.5)), "x") if row == baseline else Style(*next(others)) for row in names}


def epochs(axes: Axes, label: str) -> None:
    """Make the x axis one of whole epochs."""
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, min_n_ticks=1, steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel(label)


def categorical_y(axes: Axes, names: list[str]) -> None:
    """Make the y axis one of names, the first on top, and the x axis one from zero."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set(xlim=(0, None), ylim=(len(names) - 0.5, -0.6))
    axes.grid(axis="x")
    axes.grid(visible=False, axis="y")
    axes.spines["left"].set_visible(False)


def text_figure(text: str) -> Figure:
    """Return a small figure that says in words why there is nothing to draw."""
    with rc_context(RC):
        figure = Figure(figsize=(6, 1))
        figure.text(0.02, 0.5, text, va="center", wrap=True)
    return figure


def save(figure: Figure, stem: Path) -> None:
    """Write `stem`.svg and `stem`.png: equal figures give equal bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    with rc_context(RC):
        figure.savefig(f"{stem}.svg", metadata={"Date": None, "Creator": None})
        figure.savefig(f"{stem}.png", dpi=160, metadata={"Software": None})
