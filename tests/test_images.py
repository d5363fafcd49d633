"""Labelled images: identity by content, one order, one file."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar_fakes import made_up
from conftest import digest

from vicreg.data.images import (
    Images,
    digests,
    fingerprint,
    fingerprints,
    in_canonical_order,
    load,
    pixel_digests,
    save,
    save_arrays,
)


def shuffled(images: Images, seed: int = 1) -> Images:
    return images.take(np.random.default_rng(seed).permutation(len(images)))


def test_a_digest_is_that_of_the_pixel_bytes_and_one_label_byte() -> None:
    images = made_up()
    by_hand = hashlib.sha256(images.pixels[5].tobytes() + bytes([int(images.labels[5])])).digest()
    assert digests(images.pixels, images.labels)[5].tobytes() == by_hand
    assert pixel_digests(images.pixels)[5].tobytes() == hashlib.sha256(images.pixels[5].tobytes()).digest()


def test_digests_do_not_depend_on_how_the_array_lies_in_memory() -> None:
    images = made_up()
    turned = np.asfortranarray(images.pixels)
    assert np.array_equal(digests(turned, images.labels), digests(images.pixels, images.labels))


def test_a_fingerprint_is_the_hash_of_the_sorted_digests_in_any_order() -> None:
    images = made_up()
    parts = sorted(
        hashlib.sha256(p.tobytes() + bytes([int(n)])).digest()
        for p, n in zip(images.pixels, images.labels, strict=True)
    )
    expected = hashlib.sha256(b"".join(parts)).hexdigest()
    other = shuffled(images)
    assert fingerprint(images.pixels, images.labels) == fingerprint(other.pixels, other.labels) == expected


def test_each_official_split_has_its_own_fingerprint() -> None:
    images = made_up()
    test = images.take(images.official == "test")
    assert fingerprints(images)["test"] == fingerprint(test.pixels, test.labels)
    assert fingerprints(test).keys() == {"test"}


def test_a_label_beyond_one_byte_has_no_digest() -> None:
    with pytest.raises(ValueError, match=r"0\.\.255"):
        digests(np.zeros((1, 32, 32, 3), np.uint8), np.array([256]))


def test_every_order_ends_in_the_same_file_even_with_repeated_images(tmp_path: Path) -> None:
    images = made_up()
    images = images.take(np.array([*range(len(images)), 0, 0, 7]))
    save(in_canonical_order(images), tmp_path / "a.npz")
    save(in_canonical_order(shuffled(images)), tmp_path / "b.npz")
    assert digest(tmp_path / "a.npz") == digest(tmp_path / "b.npz")


def test_canonical_order_puts_train_first_and_keeps_every_image() -> None:
    images = made_up()
    ordered = in_canonical_order(images)
    assert ordered.official.tolist() == ["train"] * 30 + ["test"] * 10
    assert fingerprints(ordered) == fingerprints(images)


def test_images_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    images = replace(made_up(), genuine=True)
    save(images, tmp_path / "deep" / "images.npz")
    again = load(tmp_path / "deep" / "images.npz")
    assert np.array_equal(again.pixels, images.pixels)
    assert np.array_equal(again.labels, images.labels)
    assert np.array_equal(again.official, images.official)
    assert (again.classes, again.name, again.genuine) == (images.classes, "made up", True)


def test_saving_leaves_nothing_but_the_file(tmp_path: Path) -> None:
    save(made_up(), tmp_path / "images.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["images.npz"]


def test_a_failed_save_keeps_the_old_file_and_no_half_one(tmp_path: Path) -> None:
    save(made_up(), tmp_path / "images.npz")
    before = (tmp_path / "images.npz").read_bytes()
    with pytest.raises(ValueError, match="pickle"):
        save_arrays({"objects": np.array([object()])}, tmp_path / "images.npz")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "text", "other"])
def test_a_damaged_or_wrong_file_is_one_error_that_names_it(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "images.npz"
    save(made_up(), path)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        save_arrays({"numbers": np.arange(3)}, path)
    else:
        flipped = whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]
        path.write_bytes({"empty": b"", "cut": whole[:5000], "flipped": flipped, "text": b"hello"}[damage])
    with pytest.raises(ValueError, match=r"images\.npz"):
        load(path)


def test_a_file_that_needs_pickle_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "images.npz", pixels=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"images\.npz"):
        load(tmp_path / "images.npz")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("pixels", np.zeros((40, 28, 28, 3), np.uint8), "28, 28"),
        ("pixels", np.zeros((40, 32, 32, 3), np.float32), "float32"),
        ("labels", np.full(40, 10, np.int64), r"0\.\.9"),
        ("labels", np.zeros(39, np.int64), "39"),
        ("official", np.full(40, "valid", "<U5"), "official"),
        ("classes", (), "classes"),
    ],
)
def test_arrays_that_are_not_such_images_are_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(made_up(), **{field: value})  # type: ignore[arg-type]


def test_a_part_of_genuine_images_is_not_genuine() -> None:
    images = replace(made_up(), genuine=True)
    assert shuffled(images).genuine
    assert not images.take(np.arange(39)).genuine
    assert not images.take(np.zeros(40, np.int64)).genuine
