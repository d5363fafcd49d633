"""Neighbors are the nearest, the map is the same every time, and images are chosen without the encoder."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from vicreg.evaluation import neighbors
from vicreg.evaluation.features import FeatureSet


def features(train: int = 80, test: int = 50, dimensions: int = 12, classes: int = 4) -> FeatureSet:
    """Representations around a center for each class."""
    random = np.random.default_rng(0)
    labels = [np.arange(n, dtype=np.int64) % classes for n in (train, test)]
    centers = random.normal(size=(classes, dimensions))
    first, second = ((centers[y] + random.normal(size=(len(y), dimensions))).astype(np.float32) for y in labels)
    return FeatureSet(first, labels[0], second, labels[1], tuple("abcd"[:classes]))


def compared(of: FeatureSet, **changes: int) -> dict[str, Any]:
    return neighbors.compare_neighbors(of, **{"images": 3, "points": 30, "seed": 5} | changes)


def test_neighbors_are_the_nearest_by_cosine() -> None:
    of = features()
    for entry in compared(of)["neighbors"]:
        query = of.test[entry["image"]].astype(np.float64)
        cosines = [float(query @ row / np.linalg.norm(query) / np.linalg.norm(row)) for row in of.train]
        expected = sorted(range(len(cosines)), key=lambda i: -cosines[i])[: neighbors.NEAREST]
        assert [near["image"] for near in entry["nearest"]] == expected
        assert [near["cosine"] for near in entry["nearest"]] == pytest.approx([cosines[i] for i in expected], abs=1e-4)
        assert [near["class"] for near in entry["nearest"]] == of.train_labels[expected].tolist()
        assert entry["class"] == of.test_labels[entry["image"]]


def test_agreement_is_the_share_of_the_same_class() -> None:
    of = features(test=700)
    similarity = of.test.astype(float) @ (of.train / np.linalg.norm(of.train, axis=1, keepdims=True)).T
    positions = np.argsort(-similarity, axis=1)[:, : neighbors.NEAREST]
    result = compared(of)
    assert result["agreement"] == pytest.approx((of.train_labels[positions] == of.test_labels[:, None]).mean())
    assert result["chance"] == pytest.approx(0.25)


def test_images_are_chosen_by_labels_and_seed_alone() -> None:
    of = features()
    other = replace(of, train=of.train[:, ::-1], test=of.test[::-1])
    chosen = [[entry["image"] for entry in compared(it)["neighbors"]] for it in (of, other)]
    assert chosen[0] == chosen[1] and len(chosen[0]) == 3
    assert len({int(of.test_labels[image]) for image in chosen[0]}) == 3
    assert len(compared(of, images=20)["neighbors"]) == 4  # there are no more classes
    assert neighbors.sample_queries(of.test_labels, 4, seed=1) != neighbors.sample_queries(of.test_labels, 4, seed=2)


def test_the_map_is_the_same_every_time_and_fits_a_square() -> None:
    of = features()
    first, again = (compared(of)["map"] for _ in range(2))
    assert first == again
    assert {len(first[key]) for key in ("image", "class", "x", "y")} == {30}
    assert min(first["x"]) == min(first["y"]) == 0 and max(first["x"]) == 1 >= max(first["y"])
    assert first["class"] == of.test_labels[first["image"]].tolist()
    assert compared(of, seed=6)["map"]["image"] != first["image"]


def test_the_map_keeps_classes_together_that_lie_apart() -> None:
    of = features(test=120)
    train, test = (
        x + 30 * np.eye(4, 12, dtype=np.float32)[y] for x, y in ((of.train, of.train_labels), (of.test, of.test_labels))
    )
    xy = compared(replace(of, train=train, test=test), points=120)["map"]
    points, labels = np.column_stack([xy["x"], xy["y"]]), np.array(xy["class"])
    centers = np.array([points[labels == label].mean(axis=0) for label in range(4)])
    assert (np.argmin(np.linalg.norm(points[:, None] - centers, axis=2), axis=1) == labels).all()


@pytest.mark.parametrize(("test", "dimensions"), [(2, 12), (4, 1), (30, 1), (30, 2)])
def test_few_images_or_dimensions_have_a_map_too(test: int, dimensions: int) -> None:
    result = compared(features(train=4, test=test, dimensions=dimensions, classes=2))
    assert len(result["map"]["x"]) == test and result["nearest"] == 4
    assert np.isfinite([result["map"]["x"], result["map"]["y"]]).all()


def test_equal_features_have_a_map() -> None:
    of = features()
    xy = compared(replace(of, test=np.ones_like(of.test)))["map"]
    assert np.isfinite([xy["x"], xy["y"]]).all()
