"""Judging plot: top-1 after each stage of the backbone, and by the number of labels."""

from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, PanelFigure
from vicreg.reporting.judging import DEPTH, FEW, TUNED, of_way
from vicreg.reporting.markdown import count, percent
from vicreg.reporting.study import Dataset, Study

TITLES = {DEPTH: "linear probe by depth", FEW: "few labels, frozen", TUNED: "few labels, fine-tuned"}
Records = dict[str, list[dict[str, Any]]]


def judging(study: Study) -> PanelFigure:
    """Return a panel for each dataset and way, a line per row."""
    panels = [panel for dataset in study.labeled for way in TITLES if (panel := _panel(study, dataset, way))]
    styles = style.styles(study.rows)
    legend = {row: styles[row].line(1) for row in study.judging}
    size = (4.1, 3.0)
    return PanelFigure(
        "By depth and with few labels", panels, "`judged` names no row", columns=2, height=2.8, size=size, legend=legend
    )


def _panel(study: Study, dataset: Dataset, way: str) -> Panel | None:
    records = of_way(study, dataset, way)
    where = "stage" if way == DEPTH else "images"
    texts = [
        f"{row} " + ", ".join(f"{percent(r['top1'])} % at {r[where]}" for r in each) for row, each in records.items()
    ]
    draw = partial(_depth if way == DEPTH else _labels, records=records, styles=style.styles(study.rows))
    return Panel(f"{dataset.name}: {TITLES[way]}", draw, "; ".join(texts)) if records else None


def _depth(axes: Axes, records: Records, styles: dict[str, style.Style]) -> None:
    stages = [record["stage"] for record in max(records.values(), key=len)]
    for row, each in records.items():
        axes.plot(range(len(each)), [100 * r["top1"] for r in each], **styles[row].line(len(each)))
    axes.set_xticks(
        range(len(stages)), [stage.removeprefix("stage ").replace("representation", "y") for stage in stages]
    )
    axes.set_xlabel("stage of the backbone (y: the representation)")
    axes.set_ylabel("top-1 (%)")


def _labels(axes: Axes, records: Records, styles: dict[str, style.Style]) -> None:
    for row, each in records.items():
        x, y = ([r[key] for r in each] for key in ("images", "top1"))
        spread = [100 * r.get("top1_std", 0.0) for r in each]
        axes.errorbar(x, [100 * value for value in y], spread, capsize=2, **styles[row].line(len(each)))
    axes.set_xscale("log")
    ticks = sorted({r["images"] for each in records.values() for r in each})
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(round(value))))
    axes.set_xlabel("labeled images")
    axes.set_ylabel("top-1 (%)")
