"""Line plots: accuracy over the epochs of the probe; loss, terms and collapse over those of pretraining."""

from collections.abc import Iterable
from functools import partial
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes

from vicreg.engine.collapse import WARN_CORRELATION, WARN_RANK, WARN_STD
from vicreg.reporting.curves import INDICATORS, PROBE, SCORES, Curves, histories, probe_results, series, terms
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, PanelFigure
from vicreg.reporting.study import Dataset, Study

NAME_HEIGHT = 0.17  # inches of a row's name at the end of its line
GUESSES = {"top1": 1, "top5": 5}  # classes that count, of all
LABELS = {
    "top1": "top-1 accuracy (%)",
    "top5": "top-5 accuracy (%)",
    "embedding_std": "standard deviation of embeddings",
    "embedding_correlation": "correlation of dimensions",
    "effective_rank": "effective rank (RankMe)",
}
Styles = dict[str, style.Style]


def accuracy(study: Study, dataset: Dataset) -> PanelFigure:
    """Return top-1 and top-5 over the epochs of the probe, a line per row, named at its end."""
    results = {row: p.get(PROBE, {}) for row, p in probe_results(study.evaluations, dataset.role).items()}
    curves = {row: result["curve"] for row, result in results.items() if result.get("curve")}
    title = f"{dataset.name}: test accuracy of a linear probe on frozen representations"
    empty = "no encoder ran" if dataset.classes else "these images have no labels"
    panels = accuracy_panels(curves, style.styles(study.rows), len(dataset.classes))
    height = max(3.1, 1.5 + NAME_HEIGHT * len(curves))
    size = (4.1, height - 0.3)
    return PanelFigure(title, panels, empty, columns=2, height=height, size=size, curves=curves, keys=SCORES)


def pretraining(study: Study) -> dict[str, PanelFigure]:
    """Return the figures `losses`, with a panel for each term of each method and `online` last, and `collapse`."""
    curves, online = (histories(study.trained, key) for key in ("history", "online"))
    styles, groups = style.styles(study.rows), study.by_method(curves)
    indicators = [name for name in INDICATORS if any(series(points, name) for points in curves.values())]
    prefixes = {method: f"{method}: " if len(groups) > 1 else "" for method in groups}
    losses = [panel for method in groups for panel in loss_panels(groups[method], styles, prefixes[method])]
    top1 = [lines_panel(online, styles, "top1", "online linear evaluation, top-1 (%)", 100)] if online else []
    collapse = [lines_panel(curves, styles, name, limits=limits(curves, name)) for name in indicators]
    title = f"Pretraining on {study.datasets[0].name}"
    empty = "nothing was recorded" if curves else "no encoder of this study trains"
    legend = {row: styles[row].line(1) for row in curves}
    told = {row: line for row, line in legend.items() if any(series(curves[row], name) for name in indicators)}
    shared: dict[str, Any] = {"empty": empty, "legend": legend}
    return {
        "losses": PanelFigure(title, [*losses, *top1], curves=curves, keys=[*terms(curves), *indicators], **shared),
        "online": PanelFigure(title, top1, curves=online, keys=SCORES, **shared),
        "collapse": PanelFigure(f"{title}: indicators of collapse", collapse, **shared | {"legend": told}),
    }


def accuracy_panels(curves: Curves, styles: Styles, classes: int) -> list[Panel]:
    """Return a panel for each score: it of each row against the epochs, with chance as a line."""
    panels = []
    for score in SCORES if curves else ():
        chance = 100 * min(1, GUESSES[score] / classes)
        draw = partial(_accuracy, curves=curves, styles=styles, score=score, chance=chance)
        panels.append(Panel(LABELS[score], draw, f"{alt_text(curves, score, 100)}; chance {chance:.3g}"))
    return panels


def loss_panels(curves: Curves, styles: Styles, prefix: str = "") -> list[Panel]:
    """Return a panel for the loss and each term; curves: of one method."""
    return [lines_panel(curves, styles, term, prefix + term.replace("_", " ")) for term in terms(curves) if curves]


def limits(curves: Curves, indicator: str) -> set[float]:
    """Return from where on an indicator is a sign of collapse; that of the rank is a share of the largest possible."""
    if indicator == "effective_rank":
        return {WARN_RANK * points[-1]["max_rank"] for points in curves.values() if "max_rank" in points[-1]}
    return {WARN_STD if indicator == "embedding_std" else WARN_CORRELATION}


def lines_panel(
    curves: Curves, styles: Styles, key: str, label: str = "", scale: float = 1, limits: Iterable[float] = ()
) -> Panel:
    """Return a panel with a line per row: `scale` times what `key` was in each epoch. limits: are dotted lines."""
    draw = partial(_lines, curves=curves, styles=styles, key=key, scale=scale, limits=limits)
    return Panel(
        label or LABELS[key],
        draw,
        "; ".join([alt_text(curves, key, scale), *(f"sign of collapse {x:.3g}" for x in limits)]),
    )


def alt_text(curves: Curves, key: str, scale: float) -> str:
    """Say in words where each line begins and ends; scale: 100 for percent."""
    lines, digits = [], ".1f" if scale == 100 else ".3g"
    for row, values in ((row, series(points, key)) for row, points in curves.items()):
        if values:
            start, end = (f"{scale * value:{digits}} in epoch {epoch}" for epoch, value in (values[0], values[-1]))
            lines.append(f"{row} from {start} to {end}")
    return "; ".join(lines)


def _accuracy(axes: Axes, curves: Curves, styles: Styles, score: str, chance: float) -> None:
    _lines(axes, curves, styles, score, 100)
    axes.axhline(chance, color=style.INK, linewidth=0.8, linestyle=":")
    style.epochs(axes, "epoch of the linear probe")
    axes.margins(x=0.02, y=0.06)
    ends = {row: 100 * points[-1][score] for row, points in curves.items()}
    texts = [*(f"{row} {end:.1f}" for row, end in ends.items()), f"chance {chance:.3g}"]
    low, high = axes.get_ylim()
    inches = axes.get_window_extent().height / axes.figure.dpi
    heights = spread([*ends.values(), chance], gap=NAME_HEIGHT / inches * (high - low))
    for text, y, color in zip(texts, heights, [*(styles[row].color for row in ends), style.INK], strict=True):
        axes.text(1.015, y, text, color=color, va="center", transform=axes.get_yaxis_transform())


def _lines(axes: Axes, curves: Curves, styles: Styles, key: str, scale: float, limits: Iterable[float] = ()) -> None:
    for limit in limits:
        axes.axhline(limit, color=style.INK, linewidth=1, linestyle=":")
    for row, points in curves.items():
        values = series(points, key)
        axes.plot([x for x, _ in values], [scale * y for _, y in values], **styles[row].line(len(values)))
    style.epochs(axes, "epoch of pretraining")


def spread(values: list[float], gap: float) -> list[float]:
    """Return the values moved as little as it takes to lie `gap` apart, in the order given."""
    moved, order = list(values), sorted(range(len(values)), key=values.__getitem__)
    for _ in range(200):
        for low, high in pairwise(order):
            short = max(0, gap - (moved[high] - moved[low])) / 2
            moved[low], moved[high] = moved[low] - short, moved[high] + short
    return moved
