"""Portrait: neighbours are the nearest, the map is the same every time, and images are chosen without the encoder."""

from typing import Any

import numpy as np
import pytest

from vicreg.evaluation import neighbors


def features(
    train: int = 80, test: int = 50, dimensions: int = 12, classes: int = 4
) -> tuple[dict[str, Any], np.ndarray]:
    """Representations around a centre for each class, and the labels of the test images."""
    rng = np.random.default_rng(0)
    known, labels = (np.arange(n, dtype=np.int64) % classes for n in (train, test))
    centres = rng.normal(size=(classes, dimensions))
    parts = [(centres[of] + rng.normal(size=(len(of), dimensions))).astype(np.float32) for of in (known, labels)]
    return {"probe_train": parts[0], "probe_train_labels": known, "probe_test": parts[1]}, labels


def made(found: dict[str, Any], labels: np.ndarray, **changes: int) -> dict[str, Any]:
    return neighbors.portrait(found, labels, **{"images": 3, "points": 30, "seed": 5} | changes)


def test_neighbours_are_the_nearest_by_cosine() -> None:
    found, labels = features()
    for entry in made(found, labels)["neighbours"]:
        query = found["probe_test"][entry["image"]].astype(np.float64)
        cosines = [float(query @ row / np.linalg.norm(query) / np.linalg.norm(row)) for row in found["probe_train"]]
        expected = sorted(range(len(cosines)), key=lambda i: -cosines[i])[: neighbors.NEAREST]
        assert [near["image"] for near in entry["nearest"]] == expected
        assert [near["cosine"] for near in entry["nearest"]] == pytest.approx([cosines[i] for i in expected], abs=1e-4)
        assert [near["class"] for near in entry["nearest"]] == found["probe_train_labels"][expected].tolist()
        assert entry["class"] == labels[entry["image"]]


def test_equal_neighbours_come_in_the_order_of_images() -> None:
    positions, cosines = neighbors.nearest(np.ones((9, 3), np.float32), np.ones((2, 3), np.float32))
    assert positions[:, 0].tolist() == sorted(positions[0].tolist())[:1] * 2
    assert all(row == sorted(row) for row in positions.tolist())
    assert cosines == pytest.approx(np.ones((2, 5)))


def test_agreement_is_the_share_of_neighbours_of_the_same_class() -> None:
    found, labels = features(test=700)  # more than are compared at once
    positions, _ = neighbors.nearest(found["probe_train"], found["probe_test"])
    expected = np.mean(
        [found["probe_train_labels"][row] == label for row, label in zip(positions, labels, strict=True)]
    )
    result = made(found, labels)
    assert result["agreement"] == pytest.approx(expected)
    assert result["chance"] == pytest.approx(0.25)


def test_images_are_of_different_classes_and_chosen_by_labels_and_seed_alone() -> None:
    found, labels = features()
    other = {name: array[..., ::-1].copy() if array.ndim == 2 else array for name, array in found.items()}
    chosen = [[entry["image"] for entry in made(f, labels)["neighbours"]] for f in (found, other)]
    assert chosen[0] == chosen[1] and len(chosen[0]) == 3
    assert len({int(labels[image]) for image in chosen[0]}) == 3
    assert len(made(found, labels, images=20)["neighbours"]) == 4  # there are no more classes
    assert neighbors.queries(labels, 4, seed=1) != neighbors.queries(labels, 4, seed=2)


def test_the_map_is_the_same_every_time_and_fits_a_square() -> None:
    found, labels = features()
    first, again = (made(found, labels)["map"] for _ in range(2))
    assert first == again
    assert {len(first[key]) for key in ("image", "class", "x", "y")} == {30}
    assert min(first["x"]) == min(first["y"]) == 0 and max(first["x"]) == 1 >= max(first["y"])
    assert first["class"] == labels[first["image"]].tolist()
    assert made(found, labels, seed=6)["map"]["image"] != first["image"]


def test_the_map_keeps_classes_together_that_lie_apart() -> None:
    found, labels = features(test=120)
    for part, of in (("probe_train", found["probe_train_labels"]), ("probe_test", labels)):
        found[part] = found[part] + 30 * np.eye(4, 12, dtype=np.float32)[of]
    place = made(found, labels, points=120)["map"]
    points, of = np.column_stack([place["x"], place["y"]]), np.array(place["class"])
    centres = np.array([points[of == label].mean(axis=0) for label in range(4)])
    nearest = np.argmin(np.linalg.norm(points[:, None] - centres, axis=2), axis=1)
    assert (nearest == of).all()


@pytest.mark.parametrize(("test", "dimensions"), [(2, 12), (4, 1), (30, 1), (30, 2)])
def test_few_images_or_dimensions_have_a_portrait_too(test: int, dimensions: int) -> None:
    found, labels = features(train=4, test=test, dimensions=dimensions, classes=2)
    result = made(found, labels)
    assert len(result["map"]["x"]) == test and result["nearest"] == 4
    assert np.isfinite([result["map"]["x"], result["map"]["y"]]).all()


def test_a_representation_that_is_the_same_for_all_test_images_has_a_map() -> None:
    found, labels = features()
    found["probe_test"] = np.ones_like(found["probe_test"])
    place = made(found, labels)["map"]
    assert np.isfinite([place["x"], place["y"]]).all()
