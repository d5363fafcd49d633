"""SVG inside a page: a figure of matplotlib in the page's letters and colours, described for who cannot see it."""

import io
import re
from collections import defaultdict

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from vicreg.reporting.figures import style

NAMED = {
    style.INK: "ink",
    style.FAINT: "line",
    style.GREY: "grey",
    **{colour: f"encoder-{n}" for n, colour in enumerate(style.COLOURS)},
    **{colour: f"class-{n}" for n, colour in enumerate(style.CLASS_COLOURS)},
}
VARIABLES = {colour.lower(): name for colour, name in NAMED.items()}
PLAIN = {"Date": None, "Creator": None, "Format": None, "Type": None}  # leaves no metadata


def inline(figure: Figure, name: str, words: str) -> Markup:
    """Return `figure` as an <svg> for a page.

    name: not used for another figure of the page, since ids must differ; words: what it shows, in plain text.
    """
    with rc_context({**style.RC, "svg.fonttype": "none"}):
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata=PLAIN)
    body = stream.getvalue()
    body = body[body.index(">", body.index("<svg")) + 1 :]  # without the XML header and the tag itself
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = smaller(coloured(apart(body, name)))
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    start = (
        f'<svg role="img" aria-labelledby="{escape(name)}-words" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}"><title id="{escape(name)}-words">{escape(words)}</title>'
    )
    return Markup(start + body)


def apart(body: str, name: str) -> str:
    """Put `name` before every id and reference, and shorten them: matplotlib calls things the same in every figure."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    short: dict[str, str] = defaultdict(lambda: f"{name}-{len(short)}")
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{short[m[1]]}"' if m[1] in used else "", body)
    body = re.sub(r'(?:xlink:)?href="#([^"]+)"', lambda m: f'href="#{short[m[1]]}"', body)
    return re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{short[m[1]]})", body)


def coloured(body: str) -> str:
    """Let the page choose colours and letters: text has variables of its own, which may be darker than lines."""

    def variable(kind: str):
        return lambda m: f"var(--{kind}{VARIABLES[m[0].lower()]})" if m[0].lower() in VARIABLES else m[0]

    def text(m: re.Match) -> str:
        return re.sub(
            r"font-family: [^;\"]+", "font-family: var(--figure-font)", hexadecimal.sub(variable("text-"), m[0])
        )

    hexadecimal = re.compile(r"#[0-9a-fA-F]{6}\b")
    return hexadecimal.sub(variable(""), re.sub(r"<text[^>]*>", text, body))


def smaller(body: str) -> str:
    """Leave out digits that no screen shows, and what each marker says again."""

    def rounded(tag: re.Match) -> str:
        return re.sub(r"-?\d+\.\d+", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), tag[0])

    body = once(body)
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"<[^>]+>", rounded, body)).strip()


def once(body: str) -> str:
    """Move the look of markers to the marker itself where all are alike: a map has thousands."""
    looks: dict[str, set[str]] = defaultdict(set)
    for use in re.findall(r"<use [^>]*>", body):
        looks[re.findall(r'href="#([^"]+)"', use)[0]].update(re.findall(r'style="([^"]*)"', use) or [""])
    alike = {name: found.pop() for name, found in looks.items() if len(found) == 1}

    def marker(m: re.Match) -> str:
        own = f"{m[3]}; " if m[3] else ""
        return f'<path id="{m[1]}"{m[2]} style="{own}{alike[m[1]]}"' if alike.get(m[1]) else m[0]

    def bare(m: re.Match) -> str:
        return re.sub(r' style="[^"]*"', "", m[0]) if re.findall(r'href="#([^"]+)"', m[0])[0] in alike else m[0]

    return re.sub(r'<path id="([^"]+)"( d="[^"]*")(?: style="([^"]*)")?', marker, re.sub(r"<use [^>]*>", bare, body))
