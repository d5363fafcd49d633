"""The page in a browser: it loads nothing, sorts, can be read by everyone, and fits a phone."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import study_fakes as fakes

from vicreg.data.superclasses import SUPERCLASSES
from vicreg.reporting.page import page
from vicreg.reporting.write_report import study_figures

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page, Route

sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: `uv sync` with the group dev")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE: Any = {"width": 390, "height": 844}
DESKTOP: Any = {"width": 1280, "height": 900}
MODES = [(size, scheme) for size in (PHONE, DESKTOP) for scheme in ("light", "dark")]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: `apt-get install chromium`")


@dataclass
class Opened:
    """A page, what its console said, and which addresses it asked for."""

    page: "Page"
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    study = fakes.study(genuine=True, name="CIFAR-10")
    names = tuple(sorted(name for five in SUPERCLASSES.values() for name in five))
    study = replace(study, datasets=(study.datasets[0], replace(study.datasets[1], name="CIFAR-100", classes=names)))
    for evaluation in study.evaluations.values():
        if "datasets" in evaluation:
            linear = evaluation["datasets"]["transfer"]["probes"]["linear"]
            linear["confusion"] = np.random.default_rng(0).integers(0, 9, (100, 100)).tolist()
    written = tmp_path_factory.mktemp("page") / "index.html"
    written.write_text(page.document(study, fakes.shown(study), study_figures(study)), encoding="utf-8")
    return written


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with sync.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser: "Browser", file: Path, size: Any = DESKTOP, scheme: Any = "light") -> Opened:
    """The page as a person opens the file; whatever it asks for beyond that is noted and refused."""
    new = browser.new_page(viewport=size, color_scheme=scheme)
    tab = Opened(new)

    def answer(route: "Route") -> None:
        address = route.request.url
        if address == file.as_uri() or address.startswith("data:"):
            route.continue_()
        else:
            tab.requests.append(address)
            route.abort()

    new.route("**/*", answer)
    new.on("console", lambda message: tab.messages.append(message.text))
    new.on("pageerror", lambda error: tab.messages.append(str(error)))
    new.goto(file.as_uri())
    return tab


def violations(page: Any) -> str:
    """The rules of axe-core that a page breaks, with all that it can show open."""
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    results = axe.Axe().run(page)
    assert len(results.response["passes"]) > 20  # so many of its rules had something to look at
    broken = results.response["violations"]
    return "\n".join(f"{v['id']}: {v['help']}: {[n['html'][:150] for n in v['nodes'][:3]]}" for v in broken)


@pytest.mark.parametrize(("size", "scheme"), MODES)
def test_everyone_can_read_it(browser: "Browser", file: Path, size: Any, scheme: Any) -> None:
    tab = opened(browser, file, size, scheme)
    assert not violations(tab.page)
    tab.page.close()


@pytest.mark.parametrize(("size", "scheme"), MODES)
def test_text_in_drawings_stands_out_from_its_card(browser: "Browser", file: Path, size: Any, scheme: Any) -> None:
    """axe does not look at text in drawings, so its contrast is computed here, by WCAG 2.2."""
    tab = opened(browser, file, size, scheme)
    ratios = tab.page.evaluate(CONTRAST)
    assert len(ratios) > 50
    assert not [entry for entry in ratios if entry["ratio"] < 4.5]
    tab.page.close()


CONTRAST = """
() => {
  const numbers = (color) => color.match(/[0-9.]+/g).slice(0, 3).map(Number);
  const light = (color) => numbers(color).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  return [...document.querySelectorAll(".panel svg text")]
    .filter((text) => !/^(#fff|#000|rgb\\(255, 255, 255\\)|rgb\\(0, 0, 0\\))/.test(getComputedStyle(text).fill))
    .map((text) => ({
      text: text.textContent,
      ratio: ratio(light(getComputedStyle(text).fill), light(getComputedStyle(text.closest(".panel")).backgroundColor)),
    }));
}
"""


@pytest.mark.parametrize("size", [PHONE, DESKTOP])
def test_it_loads_nothing_and_says_nothing(browser: "Browser", file: Path, size: Any) -> None:
    tab = opened(browser, file, size)
    tab.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    tab.page.wait_for_load_state("networkidle")
    assert tab.requests == [] and tab.messages == []
    tab.page.close()


def test_the_body_of_a_page_on_a_phone_never_scrolls_sideways(browser: "Browser", file: Path) -> None:
    tab = opened(browser, file, PHONE)
    for width in (390, 320):
        tab.page.set_viewport_size({"width": width, "height": 844})
        for _ in range(2):
            assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
            tab.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = !d.open; })")
    tab.page.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 1920])
def test_no_cell_is_cut_without_a_cue(browser: "Browser", file: Path, width: int) -> None:
    """What is wider than its box lies in a region that scrolls, can be focused, and says so in its caption."""
    tab = opened(browser, file, {"width": width, "height": 900})
    tab.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    tab.page.wait_for_function(OBSERVED)
    tables = tab.page.evaluate(CUT)
    assert len(tables) > 8
    wide = [table for table in tables if table["wide"]]
    assert not [table for table in wide if not (table["scrolls"] and table["said"] and table["focusable"])]
    assert not [table for table in tables if table["said"] and not table["wide"]]
    assert not [table for table in tables if table["cells"]], "text is wider than its cell"
    if width == 1280:
        assert not wide
    tab.page.close()


OBSERVED = """
() => [...document.querySelectorAll(".scroll")].every(
  (box) => box.classList.contains("cut") === (box.scrollWidth > box.clientWidth + 1))
"""
CUT = """
() => [...document.querySelectorAll("table")].map((table) => {
  const box = table.closest(".scroll"), caption = getComputedStyle(table.querySelector("caption > span"), "::after");
  return {
    caption: table.caption.textContent,
    wide: box.scrollWidth > box.clientWidth + 1,
    scrolls: getComputedStyle(box).overflowX === "auto",
    said: caption.content.includes("right"),
    focusable: box.tabIndex === 0,
    cells: [...table.querySelectorAll("th, td")].filter((cell) => cell.scrollWidth > cell.clientWidth + 1).length,
  };
})
"""


def test_the_chapters_stay_in_sight(browser: "Browser", file: Path) -> None:
    tab = opened(browser, file)
    tab.page.locator("nav a", has_text="Map").click()
    heading = tab.page.locator("#map-title").bounding_box()
    nav = tab.page.locator("nav").bounding_box()
    assert heading and nav and nav["y"] == 0 and nav["height"] <= heading["y"] < 200
    tab.page.close()


def test_every_drawing_and_image_has_a_size_and_words(browser: "Browser", file: Path) -> None:
    tab = opened(browser, file, PHONE)
    sizes = tab.page.evaluate(
        "[...document.querySelectorAll('main svg, main img')].map((e) => [e.getBoundingClientRect(), e.outerHTML])"
        ".map(([box, html]) => [box.width, box.height, html.slice(0, 99)])"
    )
    assert len(sizes) > 60
    assert not [entry for entry in sizes if entry[0] < 10 or entry[1] < 5]
    roles = tab.page.get_by_role("img").count()
    assert roles >= tab.page.locator("main svg").count()
    tab.page.close()


def column(table: "Locator", number: int) -> list[str]:
    return [row.locator("th, td").nth(number).inner_text().strip() for row in table.locator("tbody tr").all()]


def test_a_table_sorts_by_click_and_goes_back(browser: "Browser", file: Path) -> None:
    tab = opened(browser, file)
    table = tab.page.locator("#results table").first
    heading = table.locator("thead th").nth(2)
    before = column(table, 2)
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    sorted_ = column(table, 2)
    numbers = [float(text.split()[0]) for text in sorted_[:-1]]
    assert numbers == sorted(numbers, reverse=True) and sorted_[-1] == "not run"
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending" and column(table, 2)[-1] == "not run"
    assert column(table, 2)[0] == sorted_[-2]
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") is None and column(table, 2) == before
    tab.page.close()


def test_a_table_sorts_by_keyboard(browser: "Browser", file: Path) -> None:
    tab = opened(browser, file)
    table = tab.page.locator("#results table").first
    button = table.locator("thead th").nth(1).get_by_role("button")
    for _ in range(200):
        tab.page.keyboard.press("Tab")
        if button.evaluate("(element) => element === document.activeElement"):
            break
    tab.page.keyboard.press("Enter")
    assert column(table, 1) == sorted(column(table, 1))
    tab.page.keyboard.press("Space")
    assert column(table, 1) == sorted(column(table, 1), reverse=True)
    tab.page.close()


def test_without_scripts_everything_is_there(browser: "Browser", file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(file.as_uri())
    assert plain.locator("thead button").count() == 0
    assert plain.locator("tbody tr").count() > 30 and plain.locator("#again pre").is_visible()
    context.close()


def test_on_paper_it_is_light_and_complete(browser: "Browser", file: Path) -> None:
    tab = opened(browser, file, DESKTOP, "dark")
    tab.page.emulate_media(media="print")
    assert tab.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not tab.page.locator("nav").is_visible()
    assert len(tab.page.pdf()) > 10_000
    assert not violations(tab.page)
    tab.page.close()
