"""Figures: the same bytes every time, every encoder told apart, nothing hidden by a label."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import study_fakes as fakes
from matplotlib.figure import Figure
from PIL import Image

from vicreg.augment.policy import Policy
from vicreg.data.superclasses import SUPERCLASSES
from vicreg.reporting import content, curves
from vicreg.reporting.figures import confusion, image_grid, line_plots, style
from vicreg.reporting.figures.panels import together
from vicreg.reporting.image_samples import Sample, Samples, sample_views
from vicreg.reporting.write_report import study_figures

NAMES = ["random", "imagenet_aug", "cifar_aug", *(f"other_{n}" for n in range(4))]
CURVES = {
    name: [{"epoch": e, "top1": 0.1 * i + 0.01 * e, "top5": 0.3 + 0.1 * i} for e in range(1, 21)]
    for i, name in enumerate(NAMES)
}
HISTORIES = {
    name: [{"epoch": e, "loss": 9.0 / e, "invariance": 0.1, "embedding_std": 0.9, "lr": 1.0} for e in (1, 2, 3)]
    for name in NAMES[1:3]
}
STYLES = style.styles(NAMES)

DRAW = """
import sys
from pathlib import Path
from vicreg.reporting.figures import line_plots, style
from vicreg.reporting.figures.panels import together
points = {"a": [{"epoch": e, "top1": 0.1 * e, "top5": 0.5} for e in (1, 2, 3)]}
panels = line_plots.accuracy_panels(points, style.styles(points), 10)
style.save(together(panels, "title", columns=2, height=3), Path(sys.argv[1]))
"""


def accuracy(title: str = "title") -> Figure:
    return together(line_plots.accuracy_panels(CURVES, STYLES, 10), title, columns=2, height=3)


def losses() -> Figure:
    legend = {name: STYLES[name].line(1) for name in HISTORIES}
    return together(line_plots.loss_panels(HISTORIES, STYLES), "title", columns=3, height=2.5, legend=legend)


def samples(pixels: np.ndarray, policy: Policy) -> Samples:
    views = {"none": sample_views(pixels, policy, seed=5)}
    return Samples("Shapes", [Sample(image, "class") for image in pixels], views)


def read(stem: Path) -> tuple[bytes, bytes]:
    return stem.with_suffix(".svg").read_bytes(), stem.with_suffix(".png").read_bytes()


def test_equal_numbers_give_equal_bytes_in_every_process(tmp_path):
    processes = [
        subprocess.Popen([sys.executable, "-c", DRAW, tmp_path / seed], env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    ]
    assert [process.wait() for process in processes] == [0, 0]
    assert read(tmp_path / "1") == read(tmp_path / "2")
    assert b"<dc:date>" not in read(tmp_path / "1")[0]


def test_every_figure_is_the_same_when_drawn_again(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    for part in ("1", "2"):
        policy = Policy(scale_min=0.2, flip=0.5, jitter=0.8, hue=0.1)
        style.save(accuracy(), tmp_path / part / "accuracy")
        style.save(losses(), tmp_path / part / "losses")
        style.save(image_grid.views(samples(pixels, policy)), tmp_path / part / "views")
    for name in ("accuracy", "losses", "views"):
        assert read(tmp_path / "1" / name) == read(tmp_path / "2" / name)
        with Image.open(tmp_path / "1" / f"{name}.png") as picture:
            picture.load()
            assert picture.width == 1440  # 9 inches


def test_the_global_settings_of_matplotlib_are_left_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    style.save(accuracy(), tmp_path / "a")
    assert dict(matplotlib.rcParams) == before


def test_lines_are_in_percent_and_named_at_their_ends():
    figure = accuracy("Shapes-10 (drawn): accuracy")
    top1, top5 = figure.axes
    expected = [100 * p["top1"] for p in CURVES["imagenet_aug"]]
    assert np.asarray(top1.lines[1].get_ydata()) == pytest.approx(np.array(expected))
    texts = {text.get_text() for text in top1.texts}
    assert {"random 20.0", "cifar_aug 40.0", "chance 10"} <= texts
    assert "chance 50" in {text.get_text() for text in top5.texts}
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch of the linear probe"] * 2
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "top-1 accuracy (%)",
        "top-5 accuracy (%)",
    ]
    assert figure.get_suptitle() == "Shapes-10 (drawn): accuracy"


def test_rows_differ_in_more_than_color_everywhere_alike():
    styles = list(STYLES.values())
    assert len({(str(one.linestyle), one.marker) for one in styles}) == len(styles)
    line, other = accuracy().axes[0].lines[1], losses().axes[0].lines[0]
    assert line.get_color() == other.get_color() and line.get_marker() == other.get_marker()


def test_without_the_baseline_other_rows_keep_their_style():
    assert style.styles(NAMES[1:]) == {name: STYLES[name] for name in NAMES[1:]}


def test_labels_that_would_overlap_are_moved_a_little():
    places = line_plots.spread([50.0, 10.0, 50.5, 90.0], gap=4)
    assert places[1] == 10 and places[3] == 90
    assert places[2] - places[0] == pytest.approx(4)
    assert (places[0] + places[2]) / 2 == pytest.approx(50.25)
    ordered = sorted(line_plots.spread([1.0] * 5, gap=2))
    assert np.diff(ordered) == pytest.approx([2] * 4, abs=0.05)


def test_pretraining_has_a_panel_for_all_that_was_recorded():
    study = fakes.study({"random": 0.3, "x": 0.5})
    figures = line_plots.pretraining(study)
    titles = {name: [panel.title for panel in figure.panels] for name, figure in figures.items()}
    assert titles["losses"] == ["loss", "invariance", "variance", "covariance", *titles["online"]]
    assert [title[:6] for title in titles["online"]] == ["online"]
    assert [title[:8] for title in titles["collapse"]] == ["standard", "correlat", "effectiv"]
    assert figures["losses"].panels[0].alt_text == "x from 3 in epoch 1 to 3 in epoch 3"
    old = {"x": fakes.pretraining(3) | {"online": []}}
    figures = line_plots.pretraining(fakes.study({"x": 0.5}, pretraining=old))
    assert not figures["online"].panels
    assert "nothing was recorded" in figures["collapse"].draw().texts[0].get_text()


def test_where_there_is_nothing_to_draw_the_figure_says_so(tmp_path):
    study = fakes.study({"random": None}, neighbors={})
    for name, figure in study_figures(study).items():
        text = figure.draw().texts[0].get_text()
        assert text.startswith(figure.title) and (
            "no encoder" in text or "not recorded" in text or "names no row" in text
        ), name
    style.save(figure.draw(), tmp_path / "empty")
    assert (tmp_path / "empty.png").exists()
    unlabeled = study_figures(fakes.study(name="Holidays", unlabeled=True))
    assert "no labels" in unlabeled["accuracy-primary"].draw().texts[0].get_text()
    assert len(unlabeled["answer"].panels) == 1


@pytest.mark.parametrize("side", [32, 64])
def test_a_grid_shows_images_and_views_as_they_are(side):
    pixels = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    figure = image_grid.views(samples(pixels, Policy()))  # a policy that is off: views are the images
    canvas = figure.axes[0].images[0].get_array()
    gap, wide = side // 16, 10 * side // 32
    assert canvas is not None and canvas.shape[0] == 2 * side + gap
    for row in range(2):
        for left in (0, *(side + wide + (side + gap) * k for k in range(4))):
            top = (side + gap) * row
            assert np.array_equal(canvas[top : top + side, left : left + side], pixels[row])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["original", "none"]


def test_pairs_name_the_term_of_each_method():
    study = fakes.study(pair_losses={"a": fakes.pair_loss(), "b": fakes.pair_loss("distance")})
    texts = [text.get_text() for text in image_grid.pairs(fakes.shown(study)).axes[0].texts]
    assert {"two views", "a invariance 0.100", "b distance 0.100"} <= set(texts)


def test_small_views_are_enlarged_pixel_by_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    views = sample_views(pixels, Policy(scale_min=0.5, sizes=((0.0, 16), (0.6, 24))), 1)
    assert views.shape == (3, 4, 32, 32, 3)
    assert np.array_equal(views, views[:, :, ::2, ::2].repeat(2, axis=2).repeat(2, axis=3))


def test_sample_views_depend_on_the_seed_alone():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    policy = Policy(scale_min=0.2, flip=0.5)
    assert np.array_equal(sample_views(pixels, policy, 1), sample_views(pixels, policy, 1))
    assert not np.array_equal(sample_views(pixels, policy, 1), sample_views(pixels, policy, 2))


def test_curves_as_csv_have_a_row_per_encoder_and_epoch():
    text = curves.as_csv({"a": [{"epoch": 1, "loss": 0.5}], "b": [{"epoch": 1, "loss": 1, "x": 2}]}, ["loss", "x"])
    assert text == "encoder,epoch,loss,x\na,1,0.5,\nb,1,1,2\n"
    assert curves.as_csv({}, curves.terms({})) == "encoder,epoch,loss\n"


def test_pretext_tasks_are_points_beside_their_probes():
    training = {row: fakes.pretraining(2) | {"pretext": solved} for row, solved in (("b", 0.25), ("c", 0.9))}
    made = fakes.study({"random": 0.5, "a": 0.6, "b": 0.3, "c": 0.4}, pretraining=training)
    assert made.pretext == {"b": 0.25, "c": 0.9}
    figure = study_figures(made)["pretext"]
    assert [panel.title for panel in figure.panels] == [dataset.name for dataset in made.labeled]
    assert "b 25.0 % of its task, top-1 30.0 %; c 90.0 % of its task, top-1 40.0 %" in figure.panels[0].alt_text
    axes = figure.draw().axes[0]
    points = [np.asarray(line.get_xydata()) for line in axes.lines]
    np.testing.assert_allclose(np.concatenate([p for p in points if len(p) == 1]), [(25, 30), (90, 40)])
    assert content.content(made)["evaluated"] == ""
    assert not study_figures(fakes.study({"random": 0.5, "a": 0.6}))["pretext"].panels


def test_the_form_that_is_evaluated_is_told():
    methods = {"a": {"name": "vicreg"}, "b": {"name": "jigsaw", "representation": "patches"}}
    methods |= {"c": {"name": "cmc", "representation": "both"}, "d": {"name": "pirl", "representation": "image"}}
    training = {row: fakes.pretraining(2) | {"recipe": fakes.recipe(row, method=m)} for row, m in methods.items()}
    made = fakes.study({"random": 0.5, "a": 0.6, "b": 0.3, "c": 0.4, "d": 0.4}, pretraining=training)
    sentence = "Evaluated is the encoder of the whole image; of `b` the mean over patches; of `c` both networks."
    assert content.content(made)["evaluated"] == sentence
    assert sentence in content.document(made)


def test_cifar_100_by_superclass_adds_up_five_classes_of_the_best_row() -> None:
    assert all(len(five) == 5 for five in SUPERCLASSES.values())
    names = tuple(sorted({name for five in SUPERCLASSES.values() for name in five}))  # as CIFAR-100 orders its classes
    assert len(names) == 100
    study = fakes.study({"random": 0.9, "x": 0.5, "y": 0.4}, classes=names)
    results = study.evaluations["x"]["datasets"]["transfer"]["probes"]["linear"]
    results["top1"] = 0.95
    counts = np.random.default_rng(0).integers(0, 9, (100, 100))
    results["confusion"] = counts.tolist()
    study.evaluations["x"]["datasets"].pop("primary")
    transfer = replace(study, datasets=study.datasets[1:])
    (panel,) = confusion.by_superclass(transfer).panels
    axes = Figure().subplots()
    panel.draw(axes)
    expected = np.zeros((20, 20))
    for i, j in np.ndindex(100, 100):
        of = [next(n for n, five in enumerate(SUPERCLASSES.values()) if names[k] in five) for k in (i, j)]
        expected[of[0], of[1]] += counts[i, j]
    np.testing.assert_allclose(
        np.ravel(np.asarray(axes.collections[0].get_array())), np.ravel(expected / expected.sum(1)[:, None])
    )
    assert panel.title == "x" and axes.get_yticklabels()[0].get_text() == "aquatic mammals"
    assert not confusion.by_superclass(fakes.study()).panels
