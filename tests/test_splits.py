"""Which image serves which purpose: by content, balanced, disjoint, in the published numbers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar_fakes import made_up
from conftest import digest

from vicreg.data.images import Images, pixel_digests
from vicreg.data.splits import has_copies, load_split, save_split, split, train_copies_of_test

FULL = {"pretrain": 1.0, "probe": 1.0}


def sized(train: int, test: int, classes: int = 10) -> Images:
    """Return distinct images, `train` and `test` of them per class, that differ in their first four bytes."""
    count = (train + test) * classes
    pixels = np.zeros((count, 32, 32, 3), np.uint8)
    pixels.reshape(count, -1)[:, :4] = np.arange(count, dtype="<u4")[:, None].view(np.uint8)
    return Images(
        pixels=pixels,
        labels=np.arange(count, dtype=np.int64) % classes,
        official=np.array(["train"] * train * classes + ["test"] * test * classes, dtype="<U5"),
        classes=tuple(f"class {label}" for label in range(classes)),
        name="Made up",
        genuine=False,
    )


def contents(images: Images, purposes: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
    return {name: [images.pixels[i].tobytes() for i in positions] for name, positions in purposes.items()}


def per_class(images: Images, positions: np.ndarray, official: str = "") -> list[int]:
    kept = [i for i in positions if official in images.official[i]]
    return np.bincount(images.labels[kept], minlength=len(images.classes)).tolist()


def fractions(pretrain: float, probe: float) -> dict[str, float]:
    return {"pretrain": pretrain, "probe": probe}


def test_the_report_protocol_has_the_published_numbers_on_the_primary_dataset() -> None:
    images = sized(5000, 1000)
    purposes = split(images, "report", "primary", fractions=FULL, seed=0)
    assert {name: len(positions) for name, positions in purposes.items()} == {
        "pretrain": 40_000,
        "probe_train": 15_000,
        "probe_test": 5_000,
    }
    assert per_class(images, purposes["pretrain"], "train") == [4000] * 10
    assert per_class(images, purposes["probe_train"], "train") == [1000] * 10
    assert per_class(images, purposes["probe_train"], "test") == [500] * 10
    assert per_class(images, purposes["probe_test"], "test") == [500] * 10


def test_the_report_protocol_pools_all_images_of_the_transfer_dataset() -> None:
    images = sized(500, 100, classes=100)
    purposes = split(images, "report", "transfer", fractions=FULL, seed=0)
    assert per_class(images, purposes["probe_train"]) == [450] * 100
    assert per_class(images, purposes["probe_test"]) == [150] * 100
    assert len(set(purposes["probe_train"]) | set(purposes["probe_test"])) == 60_000


def test_the_standard_protocol_keeps_the_official_splits() -> None:
    images = sized(500, 100, classes=100)
    primary = split(images, "standard", "primary", fractions=FULL, seed=0)
    transfer = split(images, "standard", "transfer", fractions=FULL, seed=0)
    train, test = (set(np.flatnonzero(images.official == name)) for name in ("train", "test"))
    assert set(primary["pretrain"]) == set(primary["probe_train"]) == set(transfer["probe_train"]) == train
    assert set(primary["probe_test"]) == set(transfer["probe_test"]) == test


@pytest.mark.parametrize("protocol", ["report", "standard"])
@pytest.mark.parametrize("role", ["primary", "transfer"])
def test_the_same_images_in_any_order_serve_the_same_purposes(protocol: str, role: str) -> None:
    images = made_up(train=50, test=10)
    mixed = images.take(np.random.default_rng(1).permutation(len(images)))
    ours, theirs = (
        contents(some, split(some, protocol, role, fractions=fractions(0.01, 0.01), seed=4)) for some in (images, mixed)
    )
    assert ours == theirs  # the order within a purpose included


def test_another_seed_draws_other_images() -> None:
    images = sized(50, 10)
    one, other = (split(images, "report", "primary", fractions=fractions(0.005, 0.005), seed=s) for s in (0, 1))
    assert set(one["pretrain"]) != set(other["pretrain"])


@pytest.mark.parametrize("protocol", ["report", "standard"])
@pytest.mark.parametrize("role", ["primary", "transfer"])
def test_a_smaller_fractions_images_are_among_those_of_a_larger_one(protocol: str, role: str) -> None:
    images = sized(50, 10)
    few = split(images, protocol, role, fractions=fractions(0.002, 0.003), seed=0)
    more = split(images, protocol, role, fractions=fractions(0.01, 0.01), seed=0)
    for name, positions in few.items():
        assert set(positions) < set(more[name])


def test_each_fraction_scales_its_own_purposes() -> None:
    purposes = split(sized(50, 10), "report", "primary", fractions=fractions(0.01, 0.004), seed=0)
    assert {name: len(positions) for name, positions in purposes.items()} == {
        "pretrain": 400,
        "probe_train": 60,
        "probe_test": 20,
    }


def test_a_count_that_does_not_divide_evenly_differs_by_one_between_classes() -> None:
    images = sized(50, 10)
    purposes = split(images, "report", "primary", fractions=fractions(0.000325, 0.01), seed=0)
    assert per_class(images, purposes["pretrain"]) == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]


def with_copies(images: Images, pairs: list[tuple[int, int]]) -> Images:
    pixels = images.pixels.copy()
    for original, copy in pairs:
        pixels[copy] = pixels[original]
    return replace(images, pixels=pixels)


def test_copies_serve_one_purpose_whatever_their_split_and_label() -> None:
    # within a class, across labels, and across the official splits (the first 500 are train)
    pairs = [(0, 10), (1, 11), (2, 13), (3, 503), (4, 505), (501, 512)]
    images = with_copies(sized(50, 10), pairs)
    purposes = split(images, "report", "primary", fractions=fractions(0.01, 0.01), seed=0)
    assert {i for pair in pairs for i in pair} <= set(purposes["probe_train"].tolist())
    transfer = split(images, "report", "transfer", fractions=fractions(0.01, 0.01), seed=0)
    assert {i for pair in pairs for i in pair} <= set(transfer["probe_train"].tolist())
    for found in (purposes, transfer):
        seen = [set(part) for part in contents(images, found).values()]
        assert sum(map(len, seen)) == len(set.union(*seen))


def test_the_standard_protocol_leaves_out_train_images_that_are_copies_of_test_images() -> None:
    images = with_copies(sized(5000, 1000), [(50_000, 7), (50_001, 8), (1, 2)])
    assert np.flatnonzero(train_copies_of_test(images)).tolist() == [7, 8]
    assert np.flatnonzero(has_copies(images)).tolist() == [1, 2, 7, 8, 50_000, 50_001]
    purposes = split(images, "standard", "primary", fractions=FULL, seed=0)
    expected = set(range(50_000)) - {7, 8}
    assert set(purposes["pretrain"]) == set(purposes["probe_train"]) == expected
    assert set(purposes["probe_test"]) == set(range(50_000, 60_000))


def test_too_few_images_are_an_error_that_says_how_many_and_what_to_lower() -> None:
    with pytest.raises(ValueError, match=r"4000 for `pretrain`.*'class 0'.*there are 50.*lower the fractions"):
        split(sized(50, 10), "report", "primary", fractions=FULL, seed=0)


def test_images_with_copies_are_not_enough_for_pretraining() -> None:
    images = sized(50, 10)
    images = with_copies(images, [(0, i) for i in range(10, 500, 10)])  # class 0: all the same image
    with pytest.raises(ValueError, match="50 of them repeated"):
        split(images, "report", "primary", fractions=fractions(0.01, 0.01), seed=0)


@pytest.mark.parametrize(
    ("protocol", "role", "sizes", "message"),
    [
        ("other", "primary", FULL, "report, standard"),
        ("report", "other", FULL, "primary, transfer"),
        ("report", "primary", {"pretrain": 0.0, "probe": 1.0}, "`pretrain` is 0"),
        ("report", "primary", {"pretrain": 1.0, "probe": 1.2}, "`probe` is 1.2"),
        ("report", "primary", {"pretrain": 1.0}, "`probe` is None"),
        ("report", "primary", {"pretrain": 1e-4, "probe": 0.01}, "raise it"),
    ],
)
def test_impossible_requests_are_errors(protocol: str, role: str, sizes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split(sized(50, 10), protocol, role, fractions=sizes, seed=0)


def test_a_split_comes_back_from_its_file_which_is_always_the_same(tmp_path: Path) -> None:
    purposes = split(sized(50, 10), "report", "primary", fractions=fractions(0.01, 0.01), seed=0)
    named = {f"primary/{name}": positions for name, positions in purposes.items()}
    save_split(named, tmp_path / "a.npz")
    save_split(dict(reversed(named.items())), tmp_path / "b.npz")
    again = load_split(tmp_path / "a.npz")
    assert again.keys() == named.keys()
    assert all(np.array_equal(again[name], named[name]) for name in named)
    assert digest(tmp_path / "a.npz") == digest(tmp_path / "b.npz")


def test_a_file_that_is_no_split_is_an_error_that_names_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", numbers=np.arange(3))
    (tmp_path / "text.npz").write_text("hello")
    for name in ("other.npz", "text.npz", "missing.npz"):
        with pytest.raises(ValueError, match=name):
            load_split(tmp_path / name)


def test_an_image_that_another_datasets_pretraining_saw_never_tests_a_probe() -> None:
    images = sized(5, 10)
    whole = {"pretrain": 1e-3, "probe": 1e-3}
    before = split(images, "report", "transfer", fractions=whole, seed=0)
    seen = pixel_digests(images.pixels[before["probe_test"][:7]])
    after = split(images, "report", "transfer", fractions=whole, seed=0, seen=seen)
    tested = {key.tobytes() for key in pixel_digests(images.pixels[after["probe_test"]])}
    assert tested.isdisjoint(key.tobytes() for key in seen)
    assert len(after["probe_test"]) == len(before["probe_test"])
