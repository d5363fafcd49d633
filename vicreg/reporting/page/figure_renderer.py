"""The drawer of a page's figures and tables: each figure gets ids of its own, each caption says what the data is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from vicreg.reporting.figures import panels, svg
from vicreg.reporting.figures.panels import Panel
from vicreg.reporting.markdown import escape
from vicreg.reporting.page import html
from vicreg.reporting.study import Dataset

SIDE_BY_SIDE, SMALL = (4.1, 2.8), (3.3, 2.4)  # inches of a panel of two, and of three in a row


@dataclass(frozen=True)
class Figure:
    """Panels beside each other. parts: (title, drawing); numbers: the same as a table, where there is one."""

    caption: Markup
    parts: list[tuple[str, Markup]]
    numbers: html.Table | None = None
    legend: Sequence[tuple[str, Markup]] = ()  # names and swatches


def about(*datasets: Dataset) -> str:
    """What the data of a figure or table is, in markdown: drawn pictures and parts of CIFAR are named as such."""
    return " ".join(f"{escape(dataset.name)}{_stand_in(dataset)}." for dataset in datasets)


def _stand_in(dataset: Dataset) -> str:
    if dataset.genuine:
        return ""
    return ": drawn pictures, **not CIFAR**" if dataset.drawn else ": **not complete CIFAR**"


class Drawer:
    def __init__(self) -> None:
        self.names = (f"f{n}" for n in count(1))

    def figure(
        self,
        drawn: Sequence[Panel],
        caption: str,
        *datasets: Dataset,
        size: tuple[float, float] | None = None,
        looks: Mapping[str, dict[str, Any]] | None = None,
        numbers: html.Table | None = None,
    ) -> Figure | None:
        """Return the panels as drawings for a page; None where there are none.

        caption: markdown; size: inches of a panel, looks: for a legend.
        """
        size = size or (SIDE_BY_SIDE if len(drawn) in (1, 2, 4) else SMALL)
        data = about(*datasets)
        words = html.inline(data).striptags()
        parts = [(p.title, self.draw(p, f"{p.title}: {p.words}. {words}", size)) for p in drawn]
        legend = [(name, self.swatch(name, look)) for name, look in (looks or {}).items()]
        return Figure(html.inline(f"{caption} {data}"), parts, numbers, legend) if parts else None

    def swatch(self, name: str, look: dict[str, Any]) -> Markup:
        """A piece of a line, or a marker, as keyword arguments of matplotlib describe it."""
        width = 0.25 if look["linestyle"] == "none" else 0.5
        return self.draw(Panel(name, partial(_swatch, look=look)), f"look of {name}", (width, 0.2))

    def draw(self, panel: Panel, words: str, size: tuple[float, float]) -> Markup:
        return svg.inline(panels.alone(panel, *size), next(self.names), words)

    def table(self, markdown: str, caption: str, *datasets: Dataset, **more: Any) -> html.Table:
        """Return one of our markdown tables; caption: markdown."""
        return html.table(markdown, f"{caption} {about(*datasets)}".strip(), **more)


def _swatch(axes: Axes, look: dict[str, Any]) -> None:
    axes.set_axis_off()
    axes.plot([0, 1, 2], [0, 0, 0], **look | {"markevery": [1]})
