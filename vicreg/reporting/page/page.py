"""The report as one page that needs nothing but itself: no address is loaded, from a file or in an e-mail."""

import base64
import hashlib
from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from vicreg.reporting.image_samples import Pictures
from vicreg.reporting.page import html, image_sections, provenance, sections
from vicreg.reporting.page.figure_html import Drawer
from vicreg.reporting.study import Study


def document(study: Study, pictures: Pictures) -> str:
    """Return index.html; equal studies give equal text."""
    drawer = Drawer()
    script, css = part("sort.js"), part("page.css")
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            study=study,
            script=Markup(script),
            css=Markup(css),
            policy=policy(script),
            answer=sections.answer(study, drawer),
            results=[sections.results(study, dataset, drawer) for dataset in study.datasets],
            training=sections.training(study, drawer),
            views=image_sections.views(study, pictures),
            pairs=image_sections.pairs(study, pictures, drawer),
            neighbours=image_sections.neighbours(study, pictures),
            map=image_sections.map_(study, pictures, drawer),
            confusion=image_sections.confusion(study, drawer),
            cost=provenance.cost(study, drawer),
            again=provenance.again(study),
        )
    )


@cache
def environment() -> Environment:
    found = html.environment()
    found.filters["uri"] = html.data_uri
    found.filters["typeset"] = html.typeset
    found.filters["agreed"] = image_sections.agreed
    return found


def part(name: str) -> str:
    """A file of the templates as it is."""
    loader = environment().loader
    assert loader is not None
    return loader.get_source(environment(), name)[0]


def policy(script: str) -> str:
    """What the page may load, for browsers to enforce: images and styles inside it, and this very script."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    own = f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; {own}"
