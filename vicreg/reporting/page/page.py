"""The report as one page that needs nothing but itself: no address is loaded, from a file or in an e-mail."""

import base64
import hashlib
from collections.abc import Mapping

from markupsafe import Markup

from vicreg.reporting import tables
from vicreg.reporting.content import content
from vicreg.reporting.curves import INDICATORS
from vicreg.reporting.figures import embedding_map, line_plots, style
from vicreg.reporting.figures.panels import PanelFigure
from vicreg.reporting.image_samples import Samples
from vicreg.reporting.markdown import code
from vicreg.reporting.page import html
from vicreg.reporting.page.figure_renderer import FigureRenderer
from vicreg.reporting.study import Study
from vicreg.reporting.summary import say


def document(study: Study, samples: Samples, figures: Mapping[str, PanelFigure]) -> str:
    """Return index.html; equal studies give equal text."""
    renderer, templates = FigureRenderer(), html.environment()
    assert templates.loader is not None
    script, css = (templates.loader.get_source(templates, name)[0] for name in ("sort.js", "page.css"))
    probed = study.labeled[:1] or study.datasets[:1]  # whose images pairs and online evaluations are of
    data = {"answer": study.labeled, "online": probed}
    data |= {f"accuracy-{dataset.role}": [dataset] for dataset in study.datasets}
    drawings = {name: renderer.figure(figure, data.get(name, study.datasets[:1])) for name, figure in figures.items()}
    maps = {row: entry for row, entry in study.neighbors.items() if "map" in entry}
    mistakes = [(say("about", dataset), tables.mistakes(study, dataset)) for dataset in study.labeled]
    return templates.get_template("page.html.j2").render(
        **content(study),
        script=Markup(script),
        css=Markup(css),
        csp=content_security_policy(script),
        figures=drawings,
        samples=samples,
        about_probed=say("about", probed[0]),
        legend={row: renderer.legend_sample(row, line.line(3)) for row, line in style.styles(study.rows).items()},
        absent=[line_plots.LABELS[name] for name in INDICATORS if name not in figures["collapse"].keys],
        maps=list(maps.values()),
        agreement=[say("agreement", code(row), entry) for row, entry in maps.items()],
        colored_classes=embedding_map.SHOWN,
        mistakes=[(about, *worst) for about, worst in mistakes if worst],
    )


def content_security_policy(script: str) -> str:
    """What the page may load, for browsers to enforce: images and styles inside it, and this very script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; {own}"
