"""Pretext plot: how well each row solved its own task, and what a linear probe makes of its representations."""

from functools import partial

from matplotlib.axes import Axes

from vicreg.reporting.curves import PROBE
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, PanelFigure
from vicreg.reporting.markdown import percent
from vicreg.reporting.metrics import accuracies
from vicreg.reporting.study import Dataset, Results, Study


def pretext(study: Study) -> PanelFigure:
    """Return a panel per dataset, a point per row that has a pretext task."""
    panels = [panel for dataset in study.labeled for panel in _panels(study, dataset)]
    styles = style.styles(study.rows)
    legend = {row: styles[row].line(1) | {"linestyle": "none"} for row in study.pretext}
    title = "Accuracy of the pretext task and of the linear probe"
    return PanelFigure(
        title, panels, "no encoder of this study has one", columns=2, height=3.2, size=(4.1, 3.2), legend=legend
    )


def _panels(study: Study, dataset: Dataset) -> list[Panel]:
    scores = accuracies(study.evaluations, dataset.role)
    ran = {row: scores[row][PROBE] for row in study.pretext if PROBE in scores.get(row, {})}
    lines = [f"{r} {percent(study.pretext[r])} % of its task, top-1 {percent(s['top1'])} %" for r, s in ran.items()]
    draw = partial(_points, ran=ran, solved=study.pretext, styles=style.styles(study.rows))
    return [Panel(dataset.name, draw, "; ".join(lines))] if ran else []


def _points(axes: Axes, ran: Results, solved: dict[str, float], styles: dict[str, style.Style]) -> None:
    for row, score in ran.items():
        x, low, mid, high = (
            100 * value for value in (solved[row], *(score[k] for k in ("top1_low", "top1", "top1_high")))
        )
        axes.plot([x, x], [low, high], color=styles[row].color, linewidth=1.4)
        axes.plot([x], [mid], color=styles[row].color, marker=styles[row].marker, markersize=5.5)
    axes.set_xlim(-3, 103)
    axes.set_ylim(0, None)
    axes.set_xlabel("accuracy of the pretext task (%)")
    axes.set_ylabel("top-1 of the linear probe (%)")
