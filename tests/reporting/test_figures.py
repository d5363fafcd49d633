"""Figures: the same bytes every time, every encoder told apart, nothing hidden by a label."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vicreg.augment.policy import Policy
from vicreg.reporting import curves
from vicreg.reporting.figures import line_plots, sheet, style

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
from vicreg.reporting.figures import line_plots
from vicreg.reporting.figures import style
points = {"a": [{"epoch": e, "top1": 0.1 * e, "top5": 0.5} for e in (1, 2, 3)]}
style.save(line_plots.accuracy(points, style.styles(points), "title", 10), Path(sys.argv[1]))
"""


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
        views = {"aug": sheet.sample_views(pixels, Policy(scale_min=0.2, flip=0.5, jitter=0.8, hue=0.1), 5)}
        style.save(line_plots.accuracy(CURVES, STYLES, "title", 10), tmp_path / part / "accuracy")
        style.save(line_plots.losses(HISTORIES, {}, STYLES, "title"), tmp_path / part / "losses")
        style.save(sheet.sheet(pixels, views, "title"), tmp_path / part / "views")
    for name in ("accuracy", "losses", "views"):
        assert read(tmp_path / "1" / name) == read(tmp_path / "2" / name)
        with Image.open(tmp_path / "1" / f"{name}.png") as picture:
            picture.load()
            assert picture.width == 1440  # 9 inches


def test_the_global_settings_of_matplotlib_are_left_alone(tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    style.save(line_plots.accuracy(CURVES, STYLES, "title", 10), tmp_path / "a")
    assert dict(matplotlib.rcParams) == before


def test_lines_hold_the_numbers_in_percent_and_are_named_at_their_ends():
    figure = line_plots.accuracy(CURVES, STYLES, "Shapes-10 (drawn): accuracy", 10)
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


def test_encoders_differ_in_more_than_colour_and_look_alike_in_every_figure():
    looks = list(STYLES.values())
    assert len({(str(look.linestyle), look.marker) for look in looks}) == len(looks)
    accuracy = line_plots.accuracy(CURVES, STYLES, "title", 10).axes[0].lines[1]
    loss = line_plots.losses(HISTORIES, {}, STYLES, "title").axes[0].lines[0]
    assert accuracy.get_color() == loss.get_color() and accuracy.get_marker() == loss.get_marker()


def test_removing_the_baseline_leaves_the_other_encoders_their_look():
    assert style.styles(NAMES[1:]) == {name: STYLES[name] for name in NAMES[1:]}


def test_labels_that_would_overlap_are_moved_as_little_as_it_takes():
    places = line_plots.spread([50.0, 10.0, 50.5, 90.0], gap=4)
    assert places[1] == 10 and places[3] == 90
    assert places[2] - places[0] == pytest.approx(4)
    assert (places[0] + places[2]) / 2 == pytest.approx(50.25)
    ordered = sorted(line_plots.spread([1.0] * 5, gap=2))
    assert np.diff(ordered) == pytest.approx([2] * 4, abs=0.05)


def test_the_loss_has_a_panel_for_each_term_and_for_the_online_evaluation():
    online = {"cifar_aug": [{"epoch": 4, "top1": 0.5, "top5": 0.9}]}
    titles = [axes.get_title(loc="left") for axes in line_plots.losses(HISTORIES, online, STYLES, "title").axes]
    assert titles[0].startswith("loss") and titles[1] == "invariance term" and "online" in titles[2]
    without = [axes.get_title(loc="left") for axes in line_plots.losses(HISTORIES, {}, STYLES, "title").axes]
    assert not any("online" in title for title in without)


def test_collapse_has_a_panel_for_each_indicator_that_was_recorded():
    titles = [axes.get_title(loc="left") for axes in line_plots.collapse(HISTORIES, STYLES, "title").axes]
    assert titles == ["standard deviation of embeddings", "", ""]
    old = {"x": [{"epoch": 1, "loss": 9.0}]}
    assert "nothing was recorded" in line_plots.collapse(old, STYLES, "title").texts[0].get_text()


@pytest.mark.parametrize(
    "figure",
    [line_plots.accuracy({}, {}, "Shapes-10 (drawn)", 10), line_plots.losses({}, {}, {}, "Shapes-10 (drawn)")],
)
def test_where_there_is_nothing_to_draw_the_figure_says_so(figure, tmp_path):
    assert "no encoder" in figure.texts[0].get_text()
    style.save(figure, tmp_path / "empty")
    assert (tmp_path / "empty.png").exists()


def test_a_sheet_shows_originals_at_left_and_every_view_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    views = {"none": sheet.sample_views(pixels, Policy(), seed=0)}  # a policy that is off: views are the images
    figure = sheet.sheet(pixels, views, "title")
    canvas = figure.axes[0].images[0].get_array()
    assert canvas is not None and canvas.shape[0] == 2 * 34 - 2
    for row in range(2):
        for left in (0, *(42 + 34 * k for k in range(4))):
            assert np.array_equal(canvas[34 * row : 34 * row + 32, left : left + 32], pixels[row])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["original", "none", *["first view", "second view"] * 2]


def test_sample_views_depend_on_the_seed_alone():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    policy = Policy(scale_min=0.2, flip=0.5)
    assert np.array_equal(sheet.sample_views(pixels, policy, 1), sheet.sample_views(pixels, policy, 1))
    assert not np.array_equal(sheet.sample_views(pixels, policy, 1), sheet.sample_views(pixels, policy, 2))


def test_curves_as_csv_have_a_row_per_encoder_and_epoch():
    text = curves.as_csv({"a": [{"epoch": 1, "loss": 0.5}], "b": [{"epoch": 1, "loss": 1, "x": 2}]}, ["loss", "x"])
    assert text == "encoder,epoch,loss,x\na,1,0.5,\nb,1,1,2\n"
    assert curves.as_csv({}, curves.terms({})) == "encoder,epoch,loss\n"
