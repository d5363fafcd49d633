"""The report as one page that needs nothing but itself: no address is loaded, from a file or in an e-mail."""

import base64
import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from vicreg.reporting import literature, tables
from vicreg.reporting.content import content
from vicreg.reporting.curves import INDICATORS
from vicreg.reporting.figures import embedding_map, line_plots, panels, style, svg
from vicreg.reporting.figures.panels import Legend, Panel, PanelFigure
from vicreg.reporting.image_samples import Samples
from vicreg.reporting.markdown import code
from vicreg.reporting.page import html
from vicreg.reporting.page.html import say
from vicreg.reporting.study import Study

SIDE_BY_SIDE, SMALL = (4.1, 2.8), (3.3, 2.4)  # inches of a panel of two, and of three beside each other


def document(study: Study, samples: Samples, figures: Mapping[str, PanelFigure]) -> str:
    """Return index.html; equal studies give equal text."""
    templates = html.environment()
    script = templates.get_template("sort.js").render()
    probed = study.labeled[:1] or study.datasets[:1]  # whose images pairs and online evaluations are of
    maps = {row: entry for row, entry in study.neighbors.items() if "map" in entry}
    return templates.get_template("page.html.j2").render(
        **content(study),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        figures={name: drawn(name, figure) for name, figure in figures.items()},
        samples=samples,
        legend=key("row", {row: look.line(3) for row, look in style.styles(study.rows).items()}),
        probed=probed[0].name,
        marks=say("marks", [d for d in study.labeled if d.genuine], literature.CONTENT["sources"], study),
        absent=[line_plots.LABELS[name] for name in INDICATORS if name not in figures["losses"].keys],
        maps=list(maps.values()),
        agreement=say("agreement", {code(row): entry for row, entry in maps.items()}),
        colored_classes=embedding_map.SHOWN,
        mistakes=[(d.name, *worst) for d in study.labeled if (worst := tables.mistakes(study, d))],
    )


def drawn(name: str, figure: PanelFigure) -> dict[str, Any] | None:
    """Return what the templates' macro `figure` shows, with ids that begin with `name`; None where nothing is.

    Panels are (title, drawing), the legend (name, drawing); `numbers` is the same as a table, of curves.
    """
    if not figure.panels:
        return None
    size = figure.size or (SIDE_BY_SIDE if len(figure.panels) in (1, 2, 4) else SMALL)
    alt_texts = [f"{panel.title}: {panel.alt_text}." for panel in figure.panels]
    images = [svg.inline(panels.alone(p, size), f"{name}-{n}", alt_texts[n]) for n, p in enumerate(figure.panels)]
    return {
        "panels": [(panel.title, image) for panel, image in zip(figure.panels, images, strict=True)],
        "legend": key(name, figure.legend),
        "numbers": tables.curve_numbers(figure.curves, figure.keys) if figure.curves else None,
    }


def key(name: str, legend: Legend) -> list[tuple[str, Markup]]:
    """Return for each label a piece of its line, or its marker, with ids that begin with `name`."""
    samples = []
    for n, (label, line) in enumerate(legend.items()):
        size = (0.25 if line["linestyle"] == "none" else 0.5, 0.2)
        figure = panels.alone(Panel(label, partial(_sample, line=line)), size)
        samples.append((label, svg.inline(figure, f"{name}-key-{n}", f"style of {label}")))
    return samples


def _sample(axes: Axes, line: dict[str, Any]) -> None:
    axes.set_axis_off()
    axes.plot([0, 1, 2], [0, 0, 0], **line | {"markevery": [1]})
