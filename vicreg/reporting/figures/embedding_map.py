"""Maps: test images as points, near where a representation takes them for alike."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, PanelFigure
from vicreg.reporting.page.html import say
from vicreg.reporting.study import Study

SHOWN = len(style.CLASS_COLORS)  # classes that get a color and a marker of their own
TURNS = 5


def embedding_map(study: Study) -> PanelFigure:
    """Return a panel per row with a map of its representations of the primary dataset, and one legend for all."""
    primary = study.datasets[0]
    maps = {row: entry for row, entry in study.neighbors.items() if "map" in entry}
    tall = max([0.4, *(max(entry["map"]["y"]) for entry in maps.values())])  # the highest map, as a share of its width
    names = [*primary.classes[:SHOWN], *(["other classes"] * (len(primary.classes) > SHOWN))]
    draw = partial(_points, tall=tall)
    return PanelFigure(
        f"{primary.name}: test images as each encoder represents them, t-SNE",
        [Panel(row, partial(draw, map_=entry["map"]), say("agreement", {row: entry})) for row, entry in maps.items()],
        empty="no encoder has a map",
        height=2.9 * tall + 0.3,
        legend={name: _marker(label, markersize=7) for label, name in enumerate(names)},
        size=(3.3, 3.3 * tall + 0.1),
    )


def _marker(label: int, markersize: float) -> dict[str, Any]:
    """Keyword arguments for the points of a class; those beyond the first ten look alike."""
    if label >= SHOWN:
        return {"color": style.FAINT, "marker": "o", "linestyle": "none", "markersize": markersize / 2}
    color, marker = style.CLASS_COLORS[label], style.CLASS_MARKERS[label]
    size = markersize * style.MARKER_SIZES[marker]
    return {"color": color, "marker": marker, "linestyle": "none", "markersize": size, "markeredgewidth": 0}


def _points(axes: Axes, map_: dict[str, Sequence[float]], tall: float) -> None:
    """Draw some of each class in turn, so that no class covers all others; those without a color lie below."""
    x, y, labels = (np.array(map_[key]) for key in ("x", "y", "class"))
    labels = np.minimum(labels, SHOWN)
    for turn in range(TURNS):
        for label in reversed(range(SHOWN + 1)):
            chosen = (labels == label) & (np.arange(len(labels)) % TURNS == turn)
            if chosen.any():
                axes.plot(x[chosen], y[chosen], **_marker(label, markersize=3.2), zorder=2 if label < SHOWN else 1.5)
    middle = y.max() / 2
    axes.set(xlim=(-0.03, 1.03), ylim=(middle - tall / 2 - 0.03, middle + tall / 2 + 0.03))
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.spines[:].set(visible=True, color=style.FAINT)
