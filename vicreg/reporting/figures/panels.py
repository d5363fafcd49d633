"""Panels: the parts of a figure, side by side in a file and one below the other on a phone."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vicreg.reporting.curves import Curves
from vicreg.reporting.figures import style

Legend = Mapping[str, dict[str, Any]]  # by name, keyword arguments of Line2D
WIDTH = 9.0  # inches of a whole figure


@dataclass(frozen=True)
class Panel:
    """One pair of axes. title: what it shows; alt_text: what it says, with numbers, for who cannot see it."""

    title: str
    draw: Callable[[Axes], None]
    alt_text: str = ""


@dataclass(frozen=True)
class PanelFigure:
    """Panels on one topic.

    title: of the file. empty: what to say where there are no panels. columns, height: how panels lie in the file, in
    inches. size: inches of a panel on a page. curves, keys: what the lines show, if any.
    """

    title: str
    panels: Sequence[Panel]
    empty: str
    columns: int = 3
    height: float = 2.5
    size: tuple[float, float] | None = None
    legend: Legend = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
    keys: Sequence[str] = ()

    def draw(self) -> Figure:
        """Return all panels in one figure, or a figure that says why it is empty."""
        if not self.panels:
            return style.text_figure(f"{self.title}: {self.empty}.")
        return together(self.panels, self.title, min(self.columns, len(self.panels)), self.height, self.legend)


def together(panels: Sequence[Panel], title: str, columns: int, height: float, legend: Legend | None = None) -> Figure:
    """Return one figure of all panels, each `height` inches high, with a legend below where there is one."""
    lines = math.ceil(len(panels) / columns)
    with rc_context(style.RC):
        figure = Figure(figsize=(WIDTH, height * lines + 0.6), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        grid = list(figure.subplots(lines, columns, squeeze=False).flat)
        for axes, panel in zip(grid, panels, strict=False):
            axes.set_title(panel.title)
            panel.draw(axes)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        if legend:
            handles = [Line2D([], [], **line) for line in legend.values()]
            columns, length = (4, 3.5) if len(legend) <= 4 else (5, 1.2)  # lines, or the markers of many classes
            figure.legend(handles, list(legend), loc="outside lower left", ncols=columns, handlelength=length)
    return figure


def alone(panel: Panel, size: tuple[float, float]) -> Figure:
    """Return a figure of this panel only, of so many inches; its title is left to the page."""
    with rc_context(style.RC):
        figure = Figure(figsize=size, layout="constrained")
        panel.draw(figure.subplots())
    return figure
