"""SVG inside a page: a figure of matplotlib in the page's letters and colors, described for who cannot see it."""

import io
import re
from collections import Counter, defaultdict

from markupsafe import Markup, escape
from matplotlib import rc_context
from matplotlib.figure import Figure

from vicreg.reporting.figures import style

VARIABLES = {
    style.INK: "ink",
    style.FAINT: "line",
    style.GRAY: "gray",
    **{color.lower(): f"encoder-{n}" for n, color in enumerate(style.COLORS)},
    **{color: f"class-{n}" for n, color in enumerate(style.CLASS_COLORS)},
}
PLAIN = {"Date": None, "Creator": None, "Format": None, "Type": None}  # leaves no metadata


def inline(figure: Figure, name: str, alt_text: str) -> Markup:
    """Return `figure` as an <svg> for a page.

    name: not used for another figure of the page, since ids must differ; alt_text: what it shows, in plain text.
    """
    with rc_context({**style.RC, "svg.fonttype": "none"}):
        stream = io.StringIO()
        figure.savefig(stream, format="svg", transparent=True, metadata=PLAIN)
    body = stream.getvalue()
    body = body[body.index(">", body.index("<svg")) + 1 :]  # without the XML header and the tag itself
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    body = merge_styles(round_numbers(use_css_variables(prefix_ids(body, name))), name)
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    size, title = f'width="{width}" height="{height}"', f'<title id="{name}-alt">{escape(alt_text)}</title>'
    box = f'viewBox="0 0 {width} {height}"'
    return Markup(f'<svg role="img" aria-labelledby="{name}-alt" {size} {box}>{title}{body}')


def prefix_ids(body: str, name: str) -> str:
    """Put `name` before every id and reference, and shorten them: matplotlib calls things the same in every figure."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    short: dict[str, str] = defaultdict(lambda: f"{name}-{len(short)}")
    body = re.sub(r' id="([^"]+)"', lambda m: f' id="{short[m[1]]}"' if m[1] in used else "", body)
    body = re.sub(r'(?:xlink:)?href="#([^"]+)"', lambda m: f'href="#{short[m[1]]}"', body)
    return re.sub(r"url\(#([^)]+)\)", lambda m: f"url(#{short[m[1]]})", body)


def use_css_variables(body: str) -> str:
    """Let the page choose colors and letters: text has variables of its own, which may be darker than lines."""

    def in_tag(tag: re.Match) -> str:
        kind = "text-" if tag[0].startswith("<text") else ""
        names = {color: f"var(--{kind}{name})" for color, name in VARIABLES.items()}
        text = re.sub(r"#[0-9a-fA-F]{6}\b", lambda m: names.get(m[0].lower(), m[0]), tag[0])
        return re.sub(r"font-family: [^;\"]+", "font-family: var(--figure-font)", text)

    return re.sub(r"<\w[^>]*>", in_tag, body)


def round_numbers(body: str) -> str:
    """Leave out digits that no screen shows."""
    inside_tags = re.compile(r"-?\d+\.\d+(?=[^<>]*>)")
    body = inside_tags.sub(lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), body)
    return re.sub(r"\s*\n\s*", "\n", body).strip()


def merge_styles(body: str, name: str) -> str:
    """Write styles that come often once, as classes: a map has thousands of markers."""
    often = [text for text, times in Counter(re.findall(r' style="([^"]*)"', body)).items() if times > 3]
    names = {text: f"{name}-s{n}" for n, text in enumerate(often)}
    body = re.sub(r' style="([^"]*)"', lambda m: f' class="{names[m[1]]}"' if m[1] in names else m[0], body)
    return "".join(["<style>", *(f".{names[text]}{{{text}}}" for text in often), "</style>", body]) if often else body
