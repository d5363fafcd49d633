"""Maps: where classes lie in a representation, and which are taken for which."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vicreg.reporting.curves import PROBE
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Legend, Panel, together
from vicreg.reporting.markdown import percent
from vicreg.reporting.study import Study

SHOWN = len(style.CLASS_COLOURS)  # classes that get a colour and a marker of their own
NUMBERED = 12  # classes up to which a heat map has room for numbers and names
TURNS = 5
REST = "other classes"


def map_figure(study: Study, classes: Sequence[str], title: str) -> Figure:
    """Return a panel per encoder with a portrait: test images as points, near where they are alike."""
    panels = map_panels(study, classes)
    if not panels:
        return style.note(f"{title}: no encoder has a map.")
    return together(
        panels, title, columns=min(3, len(panels)), height=2.9 * tallest(study) + 0.3, legend=map_legend(classes)
    )


def map_panels(study: Study, classes: Sequence[str]) -> list[Panel]:
    tall = tallest(study)
    return [
        Panel(encoder, partial(_points, found=found["map"], classes=len(classes), tall=tall), alike(encoder, found))
        for encoder, found in study.portraits.items()
        if "map" in found
    ]


def tallest(study: Study) -> float:
    """How high the highest of the maps is, as a share of its width."""
    return max([0.4, *(max(found["map"]["y"]) for found in study.portraits.values() if "map" in found)])


def alike(encoder: str, found: dict[str, Any]) -> str:
    """Say how often an image's nearest training images share its class, which is what a map can only hint at."""
    return (
        f"{encoder}: {percent(found['agreement'])} % of the {found['nearest']} nearest training images of a test image "
        f"share its class, against {percent(found['chance'])} % by chance"
    )


def map_legend(classes: Sequence[str]) -> Legend:
    looks = class_looks(classes)
    return [Line2D([], [], **look) for look in looks.values()], list(looks)


def class_looks(classes: Sequence[str], markersize: float = 5) -> dict[str, dict[str, Any]]:
    """By the name of a class, what its points look like; those beyond the first ten share a look."""
    names = list(classes[:SHOWN]) + ([REST] if len(classes) > SHOWN else [])
    return {name: _look(label, markersize) for label, name in enumerate(names)}


def _look(label: int, markersize: float) -> dict[str, Any]:
    """Keyword arguments for the points of a class; those beyond the first ten look alike."""
    if label >= SHOWN:
        return {"color": style.FAINT, "marker": "o", "linestyle": "none", "markersize": markersize / 2}
    colour, marker = style.CLASS_COLOURS[label], style.CLASS_MARKERS[label]
    size = markersize * style.MARKER_SIZES[marker]
    return {"color": colour, "marker": marker, "linestyle": "none", "markersize": size, "markeredgewidth": 0}


def _points(axes: Axes, found: dict[str, list], classes: int, tall: float) -> None:
    """Draw some of each class in turn, so that no class covers all others; those without a colour lie below."""
    x, y, labels = (np.array(found[key]) for key in ("x", "y", "class"))
    for turn in range(TURNS):
        for label in reversed(range(min(classes, SHOWN + 1))):
            chosen = (labels == label if label < SHOWN else labels >= SHOWN) & (np.arange(len(labels)) % TURNS == turn)
            axes.plot(x[chosen], y[chosen], **_look(label, markersize=3.2), zorder=2 if label < SHOWN else 1.5)
    middle = y.max() / 2
    axes.set(xlim=(-0.03, 1.03), ylim=(middle - tall / 2 - 0.03, middle + tall / 2 + 0.03), aspect="equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(style.FAINT)


def confusion_figure(study: Study, slot: str, classes: Sequence[str], title: str) -> Figure:
    """Return a heat map per encoder: of each class's test images, the share that was taken for each class."""
    panels = confusion_panels(study, slot, classes)
    if not panels:
        return style.note(f"{title}: not recorded.")
    return together(panels, title, columns=min(3, len(panels)), height=2.9)


def confusions(study: Study, slot: str) -> dict[str, np.ndarray]:
    """Counts (C, C) of the linear probe by encoder, true class in rows, first guess in columns, where recorded."""
    found = {}
    for encoder, evaluation in study.evaluations.items():
        counts = evaluation.get("datasets", {}).get(slot, {}).get("probes", {}).get(PROBE, {}).get("confusion")
        if counts is not None:
            found[encoder] = np.array(counts)
    return found


def confusion_panels(study: Study, slot: str, classes: Sequence[str]) -> list[Panel]:
    panels = []
    for encoder, counts in confusions(study, slot).items():
        worst = mistakes(counts, classes, 3)
        words = "; ".join(f"{share:.0%} of {true} taken for {guess}" for true, guess, share in worst)
        right = f"{np.trace(counts) / max(1, counts.sum()):.1%} right; most frequent mistakes: {words or 'none'}"
        panels.append(Panel(encoder, partial(_heat, shares=shares(counts), classes=classes), f"{encoder}: {right}"))
    return panels


def shares(counts: np.ndarray) -> np.ndarray:
    """Counts (C, C) as shares of each row; a class without images has zeros."""
    return counts / np.maximum(1, counts.sum(axis=1, keepdims=True))


def mistakes(counts: np.ndarray, classes: Sequence[str], most: int) -> list[tuple[str, str, float]]:
    """The most frequent mistakes as (true class, guess, share of the true class's images), most frequent first."""
    wrong = shares(counts) * (1 - np.eye(len(counts)))
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    pairs = [divmod(int(i), len(counts)) for i in order]
    return [(classes[i], classes[j], float(wrong[i, j])) for i, j in pairs if wrong[i, j] > 0]


def _heat(axes: Axes, shares: np.ndarray, classes: Sequence[str]) -> None:
    axes.pcolormesh(shares, cmap="cividis", vmin=0, vmax=1, edgecolors="face", linewidth=0.2)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("first guess")
    axes.set_ylabel("true class")
    if len(classes) > NUMBERED:
        return
    middles = [i + 0.5 for i in range(len(classes))]
    axes.set_xticks(middles, classes, rotation=90, fontsize=7)
    axes.set_yticks(middles, classes, fontsize=7)
    axes.tick_params(length=0)
    for (row, column), share in np.ndenumerate(shares):
        colour = "#ffffff" if share < 0.55 else "#000000"
        axes.text(column + 0.5, row + 0.5, f"{100 * share:.0f}", ha="center", va="center", fontsize=6.3, color=colour)
