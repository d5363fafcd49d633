"""Figures as SVG inside the page: each gets ids of its own, and says in words what it shows and what the data is."""

from collections.abc import Sequence
from functools import partial
from itertools import count
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from vicreg.reporting import tables
from vicreg.reporting.figures import panels, svg
from vicreg.reporting.figures.panels import Panel, PanelFigure
from vicreg.reporting.page import html
from vicreg.reporting.study import Dataset
from vicreg.reporting.summary import say

SIDE_BY_SIDE, SMALL = (4.1, 2.8), (3.3, 2.4)  # inches of a panel of two, and of three beside each other


class FigureRenderer:
    def __init__(self) -> None:
        self.ids = (f"f{n}" for n in count(1))

    def figure(self, figure: PanelFigure, datasets: Sequence[Dataset]) -> dict[str, Any] | None:
        """Return what the templates' macro `figure` shows; None where there are no panels.

        Panels are (title, drawing), the legend (name, drawing); `numbers` is the same as a table, of curves.
        """
        if not figure.panels:
            return None
        size = figure.size or (SIDE_BY_SIDE if len(figure.panels) in (1, 2, 4) else SMALL)
        about = " ".join(say("about", dataset) for dataset in datasets)
        plain = html.inline(about).striptags()
        return {
            "panels": [(p.title, self._draw(p, f"{p.title}: {p.alt_text}. {plain}", size)) for p in figure.panels],
            "about": about,
            "legend": [(name, self.legend_sample(name, line)) for name, line in figure.legend.items()],
            "numbers": tables.curve_numbers(figure.curves, figure.keys) if figure.curves else None,
        }

    def legend_sample(self, name: str, line: dict[str, Any]) -> Markup:
        """A piece of a line, or a marker, as keyword arguments of matplotlib describe it."""
        width = 0.25 if line["linestyle"] == "none" else 0.5
        return self._draw(Panel(name, partial(_sample, line=line)), f"style of {name}", (width, 0.2))

    def _draw(self, panel: Panel, alt_text: str, size: tuple[float, float]) -> Markup:
        return svg.inline(panels.alone(panel, size), next(self.ids), alt_text)


def _sample(axes: Axes, line: dict[str, Any]) -> None:
    axes.set_axis_off()
    axes.plot([0, 1, 2], [0, 0, 0], **line | {"markevery": [1]})
