"""The page: complete, in order, safe to open, the same when made again, and honest about what it shows."""

import base64
import hashlib
import io
import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import study_fakes as fakes
from hostile import examples
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup
from PIL import Image

from vicreg.reporting import markdown
from vicreg.reporting.figures import svg
from vicreg.reporting.page import html, page
from vicreg.reporting.study import Study
from vicreg.reporting.write_report import study_figures

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></svg><b>bold</b>",
    "a `code` *and* $\\frac$ | pipe & <!-- comment",
)
VOID = {"meta", "link", "img", "br", "path", "use", "rect", "line"}


class Tree(HTMLParser):
    """Elements of a document in order, as (tag, attributes, text inside)."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.open: list[int] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))
        if tag not in VOID:
            self.open.append(len(self.elements) - 1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), []))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.elements[self.open.pop()][0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for index in self.open:
            self.elements[index][2].append(data)

    def all(self, *tags: str) -> list[tuple[str, dict[str, str | None], str]]:
        return [(tag, attrs, "".join(text)) for tag, attrs, text in self.elements if tag in tags]

    def attributes(self, name: str) -> list[str]:
        return [value for _, attrs, _ in self.elements if (value := attrs.get(name)) is not None]


def document(study: Study) -> str:
    return page.document(study, fakes.shown(study, study.datasets[0].classes), study_figures(study))


@pytest.fixture(scope="module")
def whole() -> str:
    return document(fakes.study())


@pytest.fixture(scope="module")
def tree(whole: str) -> Tree:
    return Tree(whole)


@pytest.fixture
def no_drawings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes most of the time."""
    monkeypatch.setattr(svg, "inline", lambda figure, name, alt_text: Markup("<svg></svg>"))


def test_headings_are_in_order_below_a_single_one(tree: Tree) -> None:
    levels = [int(tag[1]) for tag, _, _ in tree.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert tree.all("html")[0][1]["lang"] == "en"
    assert len(tree.all("main")) == 1


def test_the_chapters_come_in_the_order_a_reader_asks(tree: Tree) -> None:
    ids = [attrs["id"] for _, attrs, _ in tree.all("section")]
    order = "answer results training views pairs neighbors map confusion cost again"
    assert ids == order.split()
    titles = {str(attrs["aria-labelledby"]) for _, attrs, _ in tree.all("section")}
    assert titles == {attrs["id"] for _, attrs, _ in tree.all("h2")}


def test_ids_differ_and_every_reference_has_its_id(whole: str, tree: Tree) -> None:
    ids = Counter(tree.attributes("id"))
    assert not [name for name, times in ids.items() if times > 1]
    named = {reference for value in tree.attributes("aria-labelledby") for reference in value.split()}
    inner = {value[1:] for value in tree.attributes("href") if value.startswith("#")}
    assert named | inner | set(re.findall(r"url\(#([^)]+)\)", whole)) <= set(ids)


def test_every_picture_has_a_size_and_words(tree: Tree) -> None:
    drawings, images = tree.all("svg"), tree.all("img")
    assert len(drawings) > 12 and len(images) > 30
    titles = {attrs.get("id"): text for _, attrs, text in tree.all("title")}
    for _, attrs, _ in drawings:
        assert attrs["role"] == "img" and float(attrs["width"] or 0) > 0 and float(attrs["height"] or 0) > 0
        assert len(titles[attrs["aria-labelledby"]]) > 5
    for _, attrs, _ in images:
        assert attrs.keys() >= {"alt", "width", "height"} and str(attrs["src"]).startswith("data:image/png;base64,")


def test_the_words_of_a_drawing_give_its_numbers(whole: str) -> None:
    titles = re.findall(r"<title id=[^>]*>(.*?)</title>", whole)
    assert any("cifar_aug 80.0 % (75.0 – 85.0)" in title for title in titles)
    assert any("imagenet_aug from 16.7 in epoch 1 to 50.0 in epoch 3" in title for title in titles)
    assert any("Of the 5 nearest training images, the same class: cifar_aug 40.0 %" in title for title in titles)


def test_every_table_has_a_caption_and_headings_with_a_scope(whole: str, tree: Tree) -> None:
    assert len(tree.all("table")) == len(tree.all("caption")) > 5
    assert all(attrs.get("scope") in {"col", "row"} for _, attrs, _ in tree.all("th"))
    assert all(text.strip() for _, _, text in tree.all("caption", "th"))
    labels = [attrs["aria-label"] for _, attrs, _ in tree.all("div") if attrs.get("role") == "region"]
    assert len(set(labels)) == len(labels) == len(tree.all("table"))


def test_nothing_is_loaded_from_outside(whole: str, tree: Tree) -> None:
    for tag, attrs, _ in tree.elements:
        for name in ("src", "href", "data", "action", "poster", "srcset", "xlink:href"):
            address = (attrs.get(name) or "").strip()
            allowed = (
                address.startswith(("#", "data:"))
                or not address
                or (tag == "a" and address.startswith(("https://", "../")))
            )
            assert allowed, f"<{tag} {name}={address!r}>"
    assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttpRequest|<iframe|<object|<embed", whole)


def test_browsers_are_told_to_run_no_script_but_the_one_inside(tree: Tree) -> None:
    ((_, _, script),) = tree.all("script")
    (policy,) = [a["content"] for _, a, _ in tree.all("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy is not None and "default-src 'none'" in policy and f"script-src 'sha256-{digest}';" in policy


def test_the_same_study_gives_the_same_bytes(whole: str) -> None:
    assert document(fakes.study()) == whole


@pytest.mark.filterwarnings("ignore:Glyph")
def test_names_cannot_become_anything_but_text() -> None:
    scores = {"random": 0.3, **dict.fromkeys(HOSTILE, 0.5)}
    study = fakes.study(
        scores, classes=HOSTILE, name=HOSTILE[0], seconds=[{"stage": n, "seconds": 1.0, "device": n} for n in HOSTILE]
    )
    text = document(study)
    tree = Tree(text)
    assert len(tree.all("script")) == 1 and not tree.all("b", "body")[0][1].get("onerror")
    assert not [name for _, attrs, _ in tree.elements for name in attrs if name.startswith("on")]
    assert {str(src)[:5] for _, attrs, _ in tree.all("img") if (src := attrs["src"])} == {"data:"}
    shown = "".join(tree.all("html")[0][2])
    assert all(name in shown for name in HOSTILE)


@pytest.mark.usefixtures("no_drawings")
def test_data_that_is_not_cifar_is_said_before_any_number_and_always_in_sight() -> None:
    text = document(fakes.study())
    before, _, after = text.partition('class="tiles"')
    assert "drawn pictures, not CIFAR" in before and "not CIFAR" not in after
    (sticky,) = [text for tag, _, text in Tree(text).all("nav")]
    assert "made_up, drawn pictures" in sticky
    assert "drawn pictures" not in document(fakes.study(genuine=True, name="CIFAR-10"))


@pytest.mark.usefixtures("no_drawings")
def test_the_answer_is_told_in_tiles() -> None:
    tree = Tree(document(fakes.study()))
    (tiles,) = [text for _, attrs, text in tree.all("ul") if attrs.get("class") == "tiles"]
    one, other, gain = (" ".join(part.split()) for part in tiles.replace("Gain", "Top-1 Gain").split("Top-1 ")[1:])
    assert one == "on Shapes-10 (drawn) 80.0 % 75.0 – 85.0 cifar_aug, linear probe; 30.0 points ahead of imagenet_aug"
    assert other.startswith("on Shapes-10 (drawn) 2 80.0 %")
    assert gain.startswith("Gain over no pretraining +50.0 points +35.0 to +65.0 Shapes-10 (drawn) +50.0 points")


@pytest.mark.usefixtures("no_drawings")
def test_every_encoder_is_explained_in_words() -> None:
    text = document(fakes.study())
    (legend,) = [words for _, attrs, words in Tree(text).all("dl") if attrs.get("class") == "legend"]
    assert legend.count("VICReg: keep views close, every dimension alive, dimensions uncorrelated.") == 2
    assert "Random initialization: the backbone as its seed initialized it" in legend
    shown = " ".join(re.sub(r"<[^>]*>", "", text).split())
    assert (
        "All that train: resnet of width 8, views aug (crops of 20 % or more), 3 epochs, batches of 64, lars." in shown
    )
    assert 'href="https://arxiv.org/abs/2105.04906"' in text


@pytest.mark.usefixtures("no_drawings")
def test_published_figures_stand_beside_genuine_data_only() -> None:
    genuine = document(fakes.study(genuine=True, name="CIFAR-10"))
    assert "92.07" in genuine and "solo-learn" in genuine and 'href="https://github.com' in genuine
    assert "not CIFAR" not in genuine
    assert "92.07" not in document(fakes.study())


@pytest.mark.usefixtures("no_drawings")
def test_the_most_frequent_mistakes_are_told_on_every_dataset() -> None:
    study = fakes.study({"random": 0.2, "x": 0.9}, pretraining={})
    for n, dataset in enumerate(study.datasets):
        counts = np.eye(len(dataset.classes), dtype=int) * 8
        counts[1, 2 + n] = 2
        study.evaluations["x"]["datasets"][dataset.role]["probes"]["linear"]["confusion"] = counts.tolist()
    rows = re.findall(r"<tr>(.*?)</tr>", document(study), re.DOTALL)
    texts = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in rows]
    for n, dataset in enumerate(study.datasets):
        assert f"{dataset.classes[1]} {dataset.classes[2 + n]} 20.0" in texts


@pytest.mark.usefixtures("no_drawings")
def test_what_was_not_recorded_is_said() -> None:
    old = {"random": fakes.pretraining(0), "x": fakes.pretraining(3, embedding_std=0.9)}
    study = fakes.study({"random": 0.3, "x": 0.5}, pretraining=old, neighbors={})
    for evaluation in study.evaluations.values():
        for dataset in evaluation["datasets"].values():
            dataset["probes"]["linear"].pop("confusion", None)
    for entry in study.pair_losses.values():
        entry.pop("anchor_views")
    text = document(study)
    assert "Not recorded in this study: correlation of dimensions; effective rank (RankMe)." in text
    assert "Not recorded: no encoder of this study has nearest neighbors." in text
    assert "Not recorded: no encoder of this study has a map." in text
    assert "<p>Not recorded.</p>" in text
    assert "Not recorded: no encoder of this study has pairs with pictures." in text


@pytest.mark.parametrize("scores", [{"random": 0.3}, {"random": None, "x": None}, {"x": 0.4}])
def test_a_study_in_which_little_ran_has_a_page(scores: dict[str, float | None]) -> None:
    tree = Tree(document(fakes.study(scores)))
    assert len(tree.all("section")) == 10


@pytest.mark.usefixtures("no_drawings")
def test_a_study_without_git_names_no_commit() -> None:
    text = document(fakes.study(commit=None))
    assert "no git commit known" in text and "git checkout" not in text


@examples(100)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=30))
def test_a_name_is_shown_as_it_is_in_markdown_and_html(text: str) -> None:
    plain = " ".join(text.split())
    for words in (markdown.escape(text), markdown.code(plain)):
        shown = re.sub(r"</?code>", "", html.inline(words))
        assert "<" not in shown
        assert unescape(shown).replace("\N{NO-BREAK SPACE}%", " %") == plain.replace("\N{NO-BREAK SPACE}%", " %")


def test_our_markdown_becomes_the_elements_it_means() -> None:
    assert html.inline("**a** `c` <https://x.org/y> *d*") == (
        '<strong>a</strong> <code>c</code> <a href="https://x.org/y">https://x.org/y</a> <em>d</em>'
    )
    assert html.inline("2 * 3 * 4 and a_b") == "2 * 3 * 4 and a_b"
    assert html.inline("<b> &lt; <javascript:alert(1)>") == "&lt;b&gt; &amp;lt; &lt;javascript:alert(1)&gt;"


def test_long_curves_are_thinned_and_keep_the_last_epoch(no_drawings: Any) -> None:
    long = {"random": fakes.pretraining(0), "x": fakes.pretraining(500)}
    rows = re.findall(
        r"<td class=\"n\" data-sort=\"(\d+)\">\d+</td>", document(fakes.study({"x": 0.5}, pretraining=long))
    )
    assert "500" in rows and len(rows) < 100


def test_losses_of_different_methods_share_no_panel() -> None:
    recipes = {"a": fakes.recipe("a"), "b": fakes.recipe("b", method={"name": "simclr"})}
    results = {row: fakes.pretraining(3, embedding_std=0.9) | {"recipe": recipe} for row, recipe in recipes.items()}
    study = fakes.study({"a": 0.5, "b": 0.6}, pretraining=results)
    losses = study_figures(study)["losses"]
    for method, row, other in (("vicreg", "a", "b"), ("simclr", "b", "a")):
        panels = [panel for panel in losses.panels if panel.title.startswith(f"{method}: ")]
        assert [panel.title.partition(": ")[2] for panel in panels] == ["loss", "invariance", "variance", "covariance"]
        assert all(p.alt_text.startswith(f"{row} from") and f"{other} from" not in p.alt_text for p in panels)
    assert len(losses.panels) == 9 and losses.panels[-1].title.startswith("online")
    text = document(study)
    assert "Losses of different methods have nothing in common" in text


@pytest.mark.usefixtures("no_drawings")
def test_a_study_on_unlabeled_images_shows_views_and_training() -> None:
    study = fakes.study(name="Holidays", unlabeled=True)
    text = document(study)
    assert "Holidays 2" in text and "No labels" not in text
    (primary, transfer) = study.datasets
    assert study.labeled == [transfer] and not primary.classes
    tree = Tree(text)
    assert tree.all("h3")[0][2] == "Top-1 on Holidays 2"
    assert len(tree.all("section")) == 10
    assert "has nearest neighbors, because Holidays has no labels" in text
    assert "Online: a linear probe on Holidays 2, trained now and then." in text
    assert [str(attrs["width"]) for _, attrs, _ in tree.all("img")][:5] == ["48"] * 5


@pytest.mark.usefixtures("no_drawings")
def test_a_collapsed_row_is_called_so() -> None:
    study = fakes.study({"random": 0.3, "x": 0.5})
    study.evaluations["x"] = {"collapsed": "epoch 2: embeddings are alike"}
    text = document(study)
    assert "Collapsed: epoch 2: embeddings are alike." in text
    assert '<td class="n" data-sort="">collapsed</td>' in text


def test_large_images_are_shown_smaller() -> None:
    address = html.data_uri(np.zeros((300, 600, 3), np.uint8))
    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        assert image.size == (96, 48)
