"""Interval plots: top-1 of each row with its 95 % interval, beside chance and published figures."""

from functools import partial

from matplotlib.axes import Axes

from vicreg.reporting import literature
from vicreg.reporting.curves import PROBE
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, PanelFigure
from vicreg.reporting.markdown import interval, percent
from vicreg.reporting.metrics import accuracies
from vicreg.reporting.study import Dataset, Results, Study


def answer(study: Study) -> PanelFigure:
    """Return a panel per dataset, a line per row: top-1 of the linear probe and its 95 % interval."""
    title = f"Top-1 accuracy of the {PROBE} probe, 95 % interval over test images"
    panels = [panel for dataset in study.labeled for panel in _panels(study, dataset)]
    height = 0.8 + 0.36 * len(study.rows)
    return PanelFigure(title, panels, "no encoder ran", height=height, size=(4.1, height))


def _panels(study: Study, dataset: Dataset) -> list[Panel]:
    scores = accuracies(study.evaluations, dataset.role)
    ran = {row: entry[PROBE] for row, entry in scores.items() if PROBE in entry}
    references = literature.references(dataset.key) if dataset.genuine else {}
    lines = [f"{r} {percent(s['top1'])} % ({interval(s['top1_low'], s['top1_high'])})" for r, s in ran.items()]
    lines += [f"{row} in the student report {figure['top1']:g} %" for row, figure in references.items()]
    chance = 100 / len(dataset.classes)
    draw = partial(_lines, ran=ran, references=references, styles=style.styles(study.rows), chance=chance)
    return [Panel(dataset.name, draw, f"{'; '.join(lines)}; chance {chance:.3g} %")] if ran else []


def _lines(axes: Axes, ran: Results, references: Results, styles: dict[str, style.Style], chance: float) -> None:
    for y, (row, score) in enumerate(ran.items()):
        color = styles[row].color
        low, mid, high = (100 * score[key] for key in ("top1_low", "top1", "top1_high"))
        axes.plot([low, high], [y, y], color=color, linewidth=1.4, marker="|", markersize=7)
        axes.plot([mid], [y], color=color, marker=styles[row].marker, markersize=4.5)
        axes.annotate(f"{mid:.1f}", (mid, y), (0, 7), textcoords="offset points", ha="center", color=color)
        if row in references:
            axes.plot([references[row]["top1"]], [y], "D", markersize=5, markerfacecolor="none", color=style.INK)
    axes.axvline(chance, color=style.INK, linewidth=0.8, linestyle=":")
    style.categorical_y(axes, list(ran))
    axes.set_xlabel("top-1 (%); dotted: chance" + ("; open: student report" if references else ""))
