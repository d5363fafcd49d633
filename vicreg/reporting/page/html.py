"""The templates of all documents, and their filters: our markdown as HTML, images as data."""

import base64
import io
import re
from typing import Any

import numpy as np
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup
from PIL import Image

from vicreg.reporting import markdown

LARGEST = 96  # pixels of an image's side on a page: what is larger is shown smaller


def environment(*packages: str) -> Environment:
    """The templates of packages, and the page's; what those of HTML show is escaped unless it is markup already."""
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in (*packages, "vicreg.reporting.page")]),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"inline": inline, "uri": data_uri, "escape_markdown": markdown.escape}
    templates.filters |= {name: getattr(markdown, name) for name in ("code", "count", "percent", "points", "setting")}
    return templates


def inline(text: str) -> Markup:
    """Return one line of our own markdown (see `vicreg.reporting.markdown`) as HTML; everything else is escaped."""
    parser = MarkdownIt("zero", {"html": False}).enable(["escape", "backticks", "emphasis", "autolink"])
    return Markup(parser.renderInline(re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)))


def say(sentence: str, *values: Any) -> str:
    """Return one of the sentences of `sentences.md.j2`, on one line; "" where there is nothing to say."""
    return " ".join(str(getattr(SENTENCES, sentence)(*values)).split())


def data_uri(pixels: np.ndarray) -> str:
    """An image (H, W, 3) uint8 as an address that holds it."""
    image, stream = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((LARGEST, LARGEST))
    image.save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


SENTENCES = environment().get_template("sentences.md.j2").module
