"""The answer at a glance: top-1 of each encoder with its interval, beside chance and what others printed."""

from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vicreg.reporting import literature
from vicreg.reporting.curves import PROBE
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, together
from vicreg.reporting.markdown import interval, percent
from vicreg.reporting.metrics import Accuracies, accuracies
from vicreg.reporting.study import Dataset, Study

OPEN: dict[str, Any] = {
    "marker": "D",
    "markersize": 5,
    "markerfacecolor": "none",
    "linestyle": "none",
    "color": style.INK,
}


def answer(study: Study, styles: dict[str, style.Style]) -> Figure:
    """Return a panel per dataset, a row per encoder: top-1 of the linear probe and its 95 % interval."""
    title = f"Top-1 accuracy of the {PROBE} probe, 95 % interval over test images"
    drawn = panels(study, styles)
    if not drawn:
        return style.note(f"{title}: no encoder ran.")
    return together(drawn, title, columns=len(drawn), height=height(study))


def height(study: Study) -> float:
    """Inches that a panel needs for a row per encoder."""
    return 0.8 + 0.36 * len(study.encoders)


def panels(study: Study, styles: dict[str, style.Style]) -> list[Panel]:
    found = [(dataset, accuracies(study.evaluations, dataset.slot)) for dataset in study.datasets]
    return [panel(dataset, scores, styles) for dataset, scores in found if any(PROBE in s for s in scores.values())]


def panel(dataset: Dataset, scores: Accuracies, styles: dict[str, style.Style]) -> Panel:
    beside = literature.beside(dataset.key) if dataset.genuine else {}
    ran = {encoder: entry[PROBE] for encoder, entry in scores.items() if PROBE in entry}
    words = [f"{e} {percent(s['top1'])} % ({interval(s['top1_low'], s['top1_high'])})" for e, s in ran.items()]
    words += [f"{e} in the student report {f.top1:g} %" for e, f in beside.items()]
    chance = 100 / len(dataset.classes)
    draw = partial(_rows, ran=ran, beside=beside, styles=styles, chance=chance)
    return Panel(dataset.name, draw, f"{'; '.join(words)}; chance {chance:.3g} %")


def _rows(
    axes: Axes,
    ran: Accuracies,
    beside: dict[str, literature.Figure],
    styles: dict[str, style.Style],
    chance: float,
) -> None:
    for row, (encoder, score) in enumerate(ran.items()):
        look = styles[encoder]
        low, mid, high = (100 * score[key] for key in ("top1_low", "top1", "top1_high"))
        axes.plot([low, high], [row, row], color=look.color, linewidth=1.4, marker="|", markersize=7)
        axes.plot([mid], [row], color=look.color, marker=look.marker, markersize=4.5)
        axes.annotate(f"{mid:.1f}", (mid, row), (0, 7), textcoords="offset points", ha="center", color=look.color)
        if encoder in beside:
            axes.plot([beside[encoder].top1], [row], **OPEN)
    axes.axvline(chance, color=style.INK, linewidth=0.8, linestyle=":")
    style.in_rows(axes, list(ran))
    axes.set_xlabel("top-1 (%); dotted: chance" + ("; open: student report" if beside else ""))
