"""The drawn datasets: the same everywhere, balanced, named for what they are."""

from pathlib import Path

import numpy as np
import pytest

from vicreg.data.images import Images, fingerprints
from vicreg.data.sources.synthetic import NAMES, Synthetic
from vicreg.data.synthetic.scenes import CHUNK, draw
from vicreg.data.synthetic.shapes import SHAPES, TEXTURES


def drawn(dataset: str = "shapes10", fraction: float = 0.002, seed: int = 0) -> Images:
    return Synthetic(None).load(dataset, scratch=Path(), fraction=fraction, seed=seed)


@pytest.mark.parametrize(("dataset", "classes"), [("shapes10", 10), ("shapes100", 100)])
def test_every_class_gets_equally_many_images_in_cifars_shape(dataset: str, classes: int) -> None:
    images = drawn(dataset, fraction=0.01)
    for split, count in (("train", 500), ("test", 100)):
        labels = images.labels[images.official == split]
        assert np.bincount(labels, minlength=classes).tolist() == [count // classes] * classes
    assert images.pixels.shape == (600, 32, 32, 3)


def test_drawn_data_is_never_called_cifar_or_genuine() -> None:
    for dataset, name in (("shapes10", "Shapes-10 (drawn)"), ("shapes100", "Shapes-100 (drawn)")):
        images = drawn(dataset)
        assert images.name == name
        assert images.synthetic and not images.genuine


def test_classes_are_pairs_of_a_shape_and_a_texture() -> None:
    ten, hundred = drawn("shapes10").classes, drawn("shapes100").classes
    assert len(set(ten)) == 10 and len(set(hundred)) == 100
    for name in (*ten, *hundred):
        shape, texture = name.split()
        assert shape in SHAPES and texture in TEXTURES
    assert {name.split()[0] for name in ten} == set(SHAPES)
    assert {name.split()[1] for name in ten} == set(TEXTURES)


def test_the_seed_decides_every_image() -> None:
    one, other = drawn(seed=0), drawn(seed=1)
    assert (one.pixels != other.pixels).any(axis=(1, 2, 3)).all()


def test_the_two_datasets_and_their_splits_share_no_image() -> None:
    everything = np.concatenate([drawn("shapes10", 0.02).pixels, drawn("shapes100", 0.02).pixels])
    assert len({image.tobytes() for image in everything}) == len(everything)


def test_fewer_images_are_the_first_of_more() -> None:
    count = CHUNK + 5
    many = draw("star", "zigzag", count, np.random.SeedSequence(3))
    for fewer in (1, 5, CHUNK, CHUNK + 1):
        assert np.array_equal(draw("star", "zigzag", fewer, np.random.SeedSequence(3)), many[:fewer])


def test_images_of_a_smaller_fraction_are_in_a_larger_one() -> None:
    few, many = drawn(fraction=0.002), drawn(fraction=0.006)
    assert {i.tobytes() for i in few.pixels} < {i.tobytes() for i in many.pixels}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_an_inside_and_an_outside(shape: str) -> None:
    line = np.linspace(-1.2, 1.2, 64, dtype=np.float32)
    x, y = (axis[None] for axis in np.meshgrid(line, line))
    inside = (SHAPES[shape](x, y) < 0).mean()
    assert 0.1 < inside < 0.6


@pytest.mark.parametrize("texture", [name for name in TEXTURES if name != "plain"])
def test_a_texture_has_two_colors(texture: str) -> None:
    line = np.linspace(-3, 3, 128, dtype=np.float32)
    x, y = (axis[None] for axis in np.meshgrid(line, line))
    assert 0.2 < (TEXTURES[texture](x, y) > 0).mean() < 0.8


def test_color_says_nothing_about_the_class() -> None:
    images = drawn(fraction=0.04)
    train = images.official == "train"
    means = images.pixels.mean(axis=(1, 2)).astype(np.float64)
    centers = np.stack([means[train & (images.labels == label)].mean(axis=0) for label in range(10)])
    guess = ((means[~train, None] - centers) ** 2).sum(axis=2).argmin(axis=1)
    assert (guess == images.labels[~train]).mean() < 0.2  # chance is 0.1


def test_every_fraction_gets_at_least_as_many_as_it_asks_for() -> None:
    for dataset, fraction, counts in (("shapes10", 0.00123, (70, 20)), ("shapes100", 0.0001, (100, 100))):
        images = drawn(dataset, fraction)
        assert images.totals == {"train": 50_000, "test": 10_000}
        assert tuple(int((images.official == split).sum()) for split in ("train", "test")) == counts


def test_the_drawn_images_are_the_same_on_every_machine() -> None:
    found = {name: fingerprints(drawn(name, fraction=0.01)) for name in NAMES}
    assert {name: prints["test"][:16] for name, prints in found.items()} == {
        "shapes10": "5206488c1250bc36",
        "shapes100": "b437d49f64327fd0",
    }
