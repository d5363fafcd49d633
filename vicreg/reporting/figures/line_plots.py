"""Figures of curves: accuracy over the epochs of the probe; loss, terms and collapse over those of pretraining."""

from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vicreg.reporting.curves import INDICATORS, Curves, known, terms
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Legend, Panel, together

ACCURACY_LABELS = {"top1": "top-1 accuracy (%)", "top5": "top-5 accuracy (%)"}
GUESSES = {"top1": 1, "top5": 5}  # classes that count, of all
TERM_LABELS = {
    "loss": "loss (weighted sum of the terms)",
    "invariance": "invariance term",
    "variance": "variance term",
    "covariance": "covariance term",
    "embedding_std": "standard deviation of embeddings",
    "embedding_correlation": "correlation of dimensions, mean absolute",
    "effective_rank": "effective rank (RankMe)",
}
ONLINE_LABEL = "online linear evaluation, top-1 (%)"


def accuracy(curves: Curves, styles: dict[str, style.Style], title: str, classes: int) -> Figure:
    """Return top-1 and top-5 over the epochs of the probe, one line per encoder, named at its end."""
    panels = accuracy_panels(curves, styles, classes)
    if not panels:
        return style.note(f"{title}: no encoder ran.")
    return together(panels, title, columns=2, height=3.1)


def accuracy_panels(curves: Curves, styles: dict[str, style.Style], classes: int) -> list[Panel]:
    curves = {encoder: points for encoder, points in curves.items() if points}
    panels = []
    for score, label in ACCURACY_LABELS.items() if curves else ():
        chance = 100 * min(1, GUESSES[score] / classes)
        draw = partial(_accuracy_panel, curves=curves, styles=styles, score=score, chance=chance)
        panels.append(Panel(label, draw, f"{told(curves, score, 100, '.1f')}; chance {chance:.3g}"))
    return panels


def told(curves: Curves, key: str, scale: float, digits: str) -> str:
    """Say in words where each line begins and ends."""
    lines = []
    for encoder, points in curves.items():
        values = [(point["epoch"], scale * point[key]) for point in points if point.get(key) is not None]
        if values:
            (first, start), (last, end) = values[0], values[-1]
            lines.append(f"{encoder} from {start:{digits}} in epoch {first} to {end:{digits}} in epoch {last}")
    return "; ".join(lines)


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
    places = spread([height for _, height, _ in ends], gap=0.07 * (high - low))
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
    """Return a panel each for the loss, whatever terms its method reports, and the online top-1."""
    panels = [*loss_panels(histories, styles), *online_panels(online, styles)]
    return _curves(panels, histories, styles, title)


def collapse(histories: Curves, styles: dict[str, style.Style], title: str) -> Figure:
    """Return a panel each for the indicators of collapse that were recorded."""
    return _curves(collapse_panels(histories, styles), histories, styles, title)


def _curves(panels: list[Panel], histories: Curves, styles: dict[str, style.Style], title: str) -> Figure:
    if not panels:
        reason = "nothing was recorded" if histories else "no encoder of this study learns"
        return style.note(f"{title}: {reason}.")
    return together(panels, title, columns=3, height=2.5, legend=legend(histories, styles))


def loss_panels(histories: Curves, styles: dict[str, style.Style]) -> list[Panel]:
    return [_lines_panel(histories, styles, term) for term in terms(histories) if histories and term not in INDICATORS]


def collapse_panels(histories: Curves, styles: dict[str, style.Style]) -> list[Panel]:
    return [_lines_panel(histories, styles, name) for name in known(histories, INDICATORS)]


def online_panels(online: Curves, styles: dict[str, style.Style]) -> list[Panel]:
    return [_lines_panel(online, styles, "top1", ONLINE_LABEL, 100, ".1f")] if online else []


def legend(curves: Curves, styles: dict[str, style.Style]) -> Legend:
    return [Line2D([], [], **styles[encoder].line(1)) for encoder in curves], list(curves)


def _lines_panel(
    curves: Curves, styles: dict[str, style.Style], key: str, label: str = "", scale: float = 1, digits: str = ".3g"
) -> Panel:
    draw = partial(_lines, curves=curves, styles=styles, key=key, scale=scale)
    return Panel(label or TERM_LABELS.get(key, key.replace("_", " ")), draw, told(curves, key, scale, digits))


def _lines(axes: Axes, curves: Curves, styles: dict[str, style.Style], key: str, scale: float) -> None:
    for encoder, points in curves.items():
        recorded = [point for point in points if point.get(key) is not None]
        x, y = [point["epoch"] for point in recorded], [scale * point[key] for point in recorded]
        axes.plot(x, y, **styles[encoder].line(len(recorded)))
    style.epochs(axes, "epoch of pretraining")
