"""The site of docs/: it builds without a warning, asks nothing of the network, and its reference is up to date."""

import importlib.util
import re
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from pages import ROOT

NEEDED = ("mkdocs", "material", "mkdocstrings")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
without_mkdocs = pytest.mark.skipif(bool(MISSING), reason=f"no {', '.join(MISSING)} here: `uv sync`")


class Requests(HTMLParser):
    """Collects what a page asks for on its own; links that a reader may follow are none."""

    def __init__(self, text: str):
        super().__init__()
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        asks = tag in ("script", "img", "iframe", "source") or (tag == "link" and values.get("rel") != "canonical")
        if asks and (address := values.get("src") or values.get("href")):
            self.addresses.append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@without_mkdocs
def test_the_site_builds_and_asks_nothing_of_the_network(site: Path) -> None:
    files = [file for file in site.rglob("*.html") if "repository" not in file.parts]
    assert len(files) > len(list((ROOT / "docs").glob("*.md")))  # and the page for what is missing
    for file in files:
        text = file.read_text(encoding="utf-8")
        addresses = Requests(text).addresses
        assert addresses and not [address for address in addresses if re.match(r"(https?:)?//", address)], file
        assert 'class="mermaid"' not in text  # for which the theme would fetch a program
    for style in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(https?:)?//", style.read_text(encoding="utf-8")), style


@without_mkdocs
def test_files_that_pages_link_to_are_part_of_the_site(site: Path) -> None:
    assert (site / "repository/vicreg/nn/method.py.txt").read_bytes() == (ROOT / "vicreg/nn/method.py").read_bytes()
    assert (site / "repository/reports/cifar/index.html").exists()


def without_here(page: str) -> list[str]:
    """The page without the last column of its tables, what params.yaml says at the moment."""
    return [re.sub(r"[^|]*\|$", "", line) for line in page.splitlines()]


def test_the_page_of_parameters_is_that_of_the_classes() -> None:
    script = runpy.run_path(str(ROOT / "docs/params_reference.py"))
    committed, again = script["PAGE"].read_text(encoding="utf-8"), "run `uv run python -m docs.params_reference`"
    assert without_here(committed) == without_here(script["page"]()), again


def test_every_member_has_a_section_of_its_own() -> None:
    from vicreg.io import plugins

    methods = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    for name in plugins.names("methods"):
        assert f"### {name}\n" in methods or f"- `{name}`: " in methods
