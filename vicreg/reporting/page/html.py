"""HTML from what the reports already say: markdown of ours as elements, tables that sort, images as data."""

import base64
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

TOKEN = re.compile(
    r"\\(?P<char>.)|`(?P<code>[^`]*)`|\*\*(?P<strong>.+?)(?<!\\)\*\*|(?<![\w*\\])\*(?P<em>[^*\s][^*]*?)(?<![\s\\])\*"
    r"|<(?P<link>https?://[^<>\s]+)>"
)


def environment() -> Environment:
    """The templates of all pages; whatever they show is escaped unless it is markup already."""
    return Environment(
        loader=PackageLoader("vicreg.reporting.page", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def inline(text: str) -> Markup:
    """Return one line of our own markdown (see `vicreg.reporting.markdown`) as HTML; everything else is escaped."""
    return Markup("").join(_pieces(text))


def typeset(text: str) -> Markup:
    """Return plain text escaped, so that lines break neither within a name like CIFAR-10 nor before a percent sign."""
    whole = re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)
    parts = re.split(r"\b([^\W\d]+-\d+)\b", whole)
    return Markup("").join(
        Markup('<span class="whole">{}</span>').format(p) if n % 2 else escape(p) for n, p in enumerate(parts)
    )


def _pieces(text: str) -> Iterator[Markup]:
    """Text between tokens is held back until they end, since a name may be escaped in its middle."""
    end, held = 0, ""
    for match in TOKEN.finditer(text):
        held += text[end : match.start()]
        end = match.end()
        kind, inner = match.lastgroup or "", match[match.lastgroup or 0]
        if kind == "char":
            held += inner
            continue
        yield typeset(held)
        held = ""
        if kind == "link":
            yield Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(inner)
        elif kind == "code":
            yield Markup("<code>{}</code>").format(inner)
        else:
            yield Markup("<{0}>{1}</{0}>").format(Markup(kind), inline(inner))
    yield typeset(held + text[end:])


@dataclass(frozen=True)
class Cell:
    """sort: a number or lower-case text by which its column sorts; empty where there is nothing, which comes last."""

    html: Markup
    sort: str


@dataclass(frozen=True)
class Table:
    """columns: their headings, and whether each holds numbers; header: the column that names a row."""

    caption: Markup
    columns: list[tuple[Markup, bool]]
    rows: list[list[Cell]]
    header: int = 0
    bars: list[float] = field(default_factory=list)  # a share in [0, 1] for each row, drawn behind its last cell

    @property
    def label(self) -> str:
        return self.caption.striptags()


def table(markdown: str, caption: str, *, header: int = 0, bars: list[float] | None = None) -> Table:
    """Return a markdown table (see `vicreg.reporting.markdown.table`) as one of HTML."""
    head, rule, *body = (cells(line) for line in markdown.splitlines())
    columns = [(inline(text), side.endswith(":")) for text, side in zip(head, rule, strict=True)]
    rows = [
        [Cell(inline(text), sort_key(text, numeric)) for text, (_, numeric) in zip(r, columns, strict=True)]
        for r in body
    ]
    return Table(inline(caption), columns, rows, header, bars or [])


def cells(line: str) -> list[str]:
    """The cells of a line of a table, split at the pipes that are not escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def sort_key(text: str, numeric: bool) -> str:
    """The first number of a cell; its text where the column holds none; empty where a number is missing."""
    if not numeric:
        return str(inline(text).striptags()).lower()
    found = re.match(r"[+-]?[\d,]*\.?\d+", text)
    return found[0].replace(",", "").lstrip("+") if found else ""


def data_uri(pixels: np.ndarray) -> str:
    """An image (H, W, 3) uint8 as an address that holds it."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
