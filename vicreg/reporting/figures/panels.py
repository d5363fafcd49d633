"""Panels: a figure's parts, drawn side by side in a file and one below the other on a phone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vicreg.reporting.figures import style

Legend = tuple[Sequence[Any], Sequence[str]]  # handles and labels
WIDTH = 9.0  # inches of a whole figure


@dataclass(frozen=True)
class Panel:
    """One pair of axes. title: what it shows; words: what it says, with numbers, for who cannot see it."""

    title: str
    draw: Callable[[Axes], None]
    words: str = ""

    def on(self, axes: Axes) -> None:
        axes.set_title(self.title)
        self.draw(axes)


def together(
    panels: Sequence[Panel], title: str, *, columns: int, height: float, legend: Legend | None = None
) -> Figure:
    """Return one figure of all panels, each `height` inches high, with a legend below where there is one."""
    rows = math.ceil(len(panels) / columns)
    with rc_context(style.RC):
        figure = Figure(figsize=(WIDTH, height * rows + 0.6), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, panel in zip(grid, panels, strict=False):
            panel.on(axes)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        if legend:
            length = 3.5 if len(legend[1]) <= 4 else 1.2  # of lines; of the markers of many classes
            figure.legend(*legend, loc="outside lower left", ncols=5 if len(legend[1]) > 4 else 4, handlelength=length)
    return figure


def alone(panel: Panel, width: float = 4.2, height: float = 2.9) -> Figure:
    """Return a figure of this panel only; its title is left to the page."""
    with rc_context(style.RC):
        figure = Figure(figsize=(width, height), layout="constrained")
        panel.draw(figure.subplots())
    return figure
