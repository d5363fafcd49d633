"""The templates of all documents, and their filters: our markdown as HTML, images as data."""

import base64
import io
import re
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup, escape
from PIL import Image

from vicreg.reporting import markdown

LARGEST = 96  # pixels of an image's side on a page: what is larger is shown smaller


@cache
def environment() -> Environment:
    """The templates; what those of HTML show is escaped unless it is markup already."""
    templates = Environment(
        loader=PackageLoader("vicreg.reporting.page", "templates"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"inline": inline, "typeset": typeset, "uri": data_uri}
    templates.filters |= {"code": markdown.code, "escape_markdown": markdown.escape, "count": markdown.count}
    templates.filters |= {"percent": markdown.percent, "points": markdown.points}
    return templates


def markdown_document(template: str, **values: Any) -> str:
    """Return a document of markdown, whose blocks are one empty line apart."""
    text = environment().get_template(template).render(values)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def inline(text: str) -> Markup:
    """Return one line of our own markdown (see `vicreg.reporting.markdown`) as HTML; everything else is escaped."""
    return Markup(_markdown().renderInline(text))


def typeset(text: str) -> Markup:
    """Return plain text escaped, so that lines break neither within a name like CIFAR-10 nor before a percent sign."""
    parts = re.split(r"\b([^\W\d]+-\d+)\b", re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text))
    return Markup("").join(
        Markup('<span class="whole">{}</span>').format(p) if n % 2 else escape(p) for n, p in enumerate(parts)
    )


@cache
def _markdown() -> MarkdownIt:
    parser = MarkdownIt("zero", {"html": False}).enable(["escape", "backticks", "emphasis", "autolink"])
    parser.add_render_rule("text", lambda _, tokens, index, *__: str(typeset(tokens[index].content)))
    return parser


def data_uri(pixels: np.ndarray) -> str:
    """An image (H, W, 3) uint8 as an address that holds it."""
    image, stream = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((LARGEST, LARGEST))
    image.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
