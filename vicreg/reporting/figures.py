"""Figures: accuracy over the epochs of the probe, loss and its terms over the epochs of pretraining."""

import math

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vicreg.reporting import style
from vicreg.reporting.curves import Curves, terms

ACCURACY_LABELS = {"top1": "top-1 accuracy (%)", "top5": "top-5 accuracy (%)"}
GUESSES = {"top1": 1, "top5": 5}  # classes that count, of all
TERM_LABELS = {
    "loss": "loss (weighted sum of the terms)",
    "invariance": "invariance term",
    "variance": "variance term",
    "covariance": "covariance term",
    "embedding_std": "standard deviation of embeddings",
}
ONLINE_LABEL = "online linear evaluation, top-1 (%)"


def accuracy(curves: Curves, styles: dict[str, style.Style], title: str, classes: int) -> Figure:
    """Return top-1 and top-5 over the epochs of the probe, one line per encoder, named at its end."""
    curves = {encoder: points for encoder, points in curves.items() if points}
    if not curves:
        return style.note(f"{title}: no encoder ran.")
    with rc_context(style.RC):
        figure = Figure(figsize=(9, 3.7), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        for axes, (score, label) in zip(figure.subplots(1, 2), ACCURACY_LABELS.items(), strict=True):
            axes.set_title(label)
            _accuracy_panel(axes, curves, styles, score, chance=100 * min(1, GUESSES[score] / classes))
    return figure


def _accuracy_panel(axes: Axes, curves: Curves, styles: dict[str, style.Style], score: str, chance: float) -> None:
    ends = []
    for encoder, points in curves.items():
        values = [100 * point[score] for point in points]
        axes.plot([point["epoch"] for point in points], values, **styles[encoder].line(len(points)))
        ends.append((f"{encoder} {values[-1]:.1f}", values[-1], styles[encoder].color))
    axes.axhline(chance, color=style.INK, linewidth=0.8, linestyle=":")
    style.epochs(axes, "epoch of the linear probe")
    axes.margins(x=0.02, y=0.06)
    _name_ends(axes, [*ends, (f"chance {chance:.3g}", chance, style.INK)])


def _name_ends(axes: Axes, ends: list[tuple[str, float, str]]) -> None:
    """Write each (text, height, colour) at the right of the panel, moved where they would overlap."""
    low, high = axes.get_ylim()
    places = spread([height for _, height, _ in ends], gap=0.06 * (high - low))
    for (text, _, colour), place in zip(ends, places, strict=True):
        axes.text(1.015, place, text, color=colour, va="center", transform=axes.get_yaxis_transform())


def spread(values: list[float], gap: float) -> list[float]:
    """Return the values moved as little as it takes to lie `gap` apart, in the order given."""
    order = sorted(range(len(values)), key=values.__getitem__)
    places = [values[i] for i in order]
    for _ in range(200):
        for i in range(len(places) - 1):
            short = gap - (places[i + 1] - places[i])
            if short > 0:
                places[i] -= short / 2
                places[i + 1] += short / 2
    return [places[order.index(i)] for i in range(len(values))]


def losses(histories: Curves, online: Curves, styles: dict[str, style.Style], title: str) -> Figure:
    """Return a panel each for the loss, whatever else its method reports, and the online top-1."""
    if not histories:
        return style.note(f"{title}: no encoder of this study learns.")
    panels = [(histories, term, TERM_LABELS.get(term, term), 1) for term in terms(histories)]
    panels += [(online, "top1", ONLINE_LABEL, 100)] if online else []
    rows = math.ceil(len(panels) / 3)
    with rc_context(style.RC):
        figure = Figure(figsize=(9, 2.5 * rows + 0.6), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        grid = list(figure.subplots(rows, 3, squeeze=False).flat)
        for axes, panel in zip(grid, panels, strict=False):
            _lines(axes, styles, *panel)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower left", ncols=4, handlelength=3.5)
    return figure


def _lines(axes: Axes, styles: dict[str, style.Style], curves: Curves, key: str, label: str, scale: float) -> None:
    for encoder, points in curves.items():
        known = [point for point in points if point.get(key) is not None]
        x, y = [point["epoch"] for point in known], [scale * point[key] for point in known]
        axes.plot(x, y, label=encoder, **styles[encoder].line(len(known)))
    axes.set_title(label)
    style.epochs(axes, "epoch of pretraining")
