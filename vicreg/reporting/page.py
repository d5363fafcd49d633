"""The report as one page that needs nothing but itself: no address is loaded, from a file or in an e-mail."""

import base64
import hashlib
from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from vicreg.reporting import chapters, gallery, html, origin
from vicreg.reporting.drawer import Drawer
from vicreg.reporting.pictures import Pictures
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
            answer=chapters.answer(study, drawer),
            results=[chapters.results(study, dataset, drawer) for dataset in study.datasets],
            training=chapters.training(study, drawer),
            views=gallery.views(study, pictures),
            pairs=gallery.pairs(study, pictures, drawer),
            neighbours=gallery.neighbours(study, pictures),
            map=gallery.map_(study, pictures, drawer),
            confusion=gallery.confusion(study, drawer),
            cost=origin.cost(study, drawer),
            again=origin.again(study),
        )
    )


@cache
def environment() -> Environment:
    found = html.environment()
    found.filters["uri"] = html.data_uri
    found.filters["typeset"] = html.typeset
    found.filters["agreed"] = gallery.agreed
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
