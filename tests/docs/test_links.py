"""Every link of the README and docs/ leads somewhere, and every path that is named exists."""

import re
from collections.abc import Iterator
from pathlib import Path

from pages import PAGES, ROOT

from vicreg.io import plugins
from vicreg.reporting import recipes

LINK = re.compile(r"\]\(([^)\s]+)\)")
PATHS = re.compile(r"`((?:vicreg|stages|tests|reports|docs|bench|recipes|shipped)/[\w./]*)`")
MACHINE = re.compile(r"/tmp/|/work/|/root/|/home/")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as code forges and the site make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def found(pattern: re.Pattern[str]) -> Iterator[tuple[Path, str]]:
    """The pages with what matches in each."""
    for page in PAGES:
        yield from ((page, match) for match in pattern.findall(page.read_text(encoding="utf-8")))


def test_every_link_leads_somewhere() -> None:
    for page, link in found(LINK):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists() and target.is_relative_to(ROOT), (page, link)
        assert not anchor or anchor in anchors(target), (page, link)


def test_every_path_that_is_named_exists() -> None:
    assert [(page, path) for page, path in found(PATHS) if not (ROOT / path).exists()] == []


def test_no_path_of_one_machine() -> None:
    assert list(found(MACHINE)) == []


def test_the_readme_fits_a_screen_or_two() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 130


def test_pictures_are_small() -> None:
    sizes = {file.name: file.stat().st_size for file in (ROOT / "docs/images").iterdir()}
    assert max(sizes.values()) < 300_000, sizes


def test_the_papers_of_the_methods_are_those_of_the_documentation() -> None:
    text = (ROOT / "docs/methods.md").read_text(encoding="utf-8")
    papers = {name: recipes.paper(name) for name in plugins.names("methods")}
    assert {name for name, paper in papers.items() if paper is None} == {"random_init", "pretrained"}
    assert recipes.paper("a_method_that_is_gone") is None
    for title, url in filter(None, papers.values()):
        assert f"]({url})" in text, title
