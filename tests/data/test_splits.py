"""Which image serves which purpose: by content, balanced, disjoint, in the published numbers."""

from dataclasses import replace

import numpy as np
import pytest
from cifar_fakes import CIFAR, fractions, made_up, sized

from vicreg.data import split_checks
from vicreg.data.images import Images, pixel_digests
from vicreg.data.protocols import PROTOCOLS
from vicreg.data.splits import split_images, split_study

FULL = {"pretrain": 1.0, "probe": 1.0}


def contents(images: Images, purposes: dict[str, np.ndarray]) -> dict[str, list[bytes]]:
    return {name: [images.pixels[i].tobytes() for i in positions] for name, positions in purposes.items()}


def per_class(images: Images, positions: np.ndarray, official: str = "") -> list[int]:
    kept = [i for i in positions if official in images.official[i]]
    return np.bincount(images.labels[kept], minlength=len(images.classes)).tolist()


def test_report_has_the_published_numbers_on_primary() -> None:
    images = sized(5000, 1000)
    purposes = split_images(images, "report", "primary", fractions=FULL, seed=0)
    assert {name: len(positions) for name, positions in purposes.items()} == {
        "pretrain": 40_000,
        "probe_train": 15_000,
        "probe_test": 5_000,
    }
    assert per_class(images, purposes["pretrain"], "train") == [4000] * 10
    assert per_class(images, purposes["probe_train"], "train") == [1000] * 10
    assert per_class(images, purposes["probe_train"], "test") == [500] * 10
    assert per_class(images, purposes["probe_test"], "test") == [500] * 10


def test_report_pools_all_images_of_transfer() -> None:
    images = sized(500, 100, classes=100)
    purposes = split_images(images, "report", "transfer", fractions=FULL, seed=0)
    assert per_class(images, purposes["probe_train"]) == [450] * 100
    assert per_class(images, purposes["probe_test"]) == [150] * 100
    assert len(set(purposes["probe_train"]) | set(purposes["probe_test"])) == 60_000


def test_the_standard_protocol_keeps_the_official_splits() -> None:
    images = sized(500, 100, classes=100)
    primary = split_images(images, "standard", "primary", fractions=FULL, seed=0)
    transfer = split_images(images, "standard", "transfer", fractions=FULL, seed=0)
    train, test = (set(np.flatnonzero(images.official == name)) for name in ("train", "test"))
    assert set(primary["pretrain"]) == set(primary["probe_train"]) == set(transfer["probe_train"]) == train
    assert set(primary["probe_test"]) == set(transfer["probe_test"]) == test


@pytest.mark.parametrize("protocol", ["report", "standard"])
@pytest.mark.parametrize("role", ["primary", "transfer"])
def test_images_serve_the_same_purposes_in_any_order(protocol: str, role: str) -> None:
    images = replace(made_up(train=50, test=10), totals=CIFAR)
    mixed = images.subset(np.random.default_rng(1).permutation(len(images)))
    ours, theirs = (
        contents(some, split_images(some, protocol, role, fractions=fractions(0.01, 0.01), seed=4))
        for some in (images, mixed)
    )
    assert ours == theirs  # the order within a purpose included


def test_another_seed_draws_other_images() -> None:
    images = sized(50, 10)
    one, other = (split_images(images, "report", "primary", fractions=fractions(0.005, 0.005), seed=s) for s in (0, 1))
    assert set(one["pretrain"]) != set(other["pretrain"])


@pytest.mark.parametrize("protocol", ["report", "standard"])
@pytest.mark.parametrize("role", ["primary", "transfer"])
def test_a_smaller_fraction_is_part_of_a_larger_one(protocol: str, role: str) -> None:
    images = sized(50, 10)
    few = split_images(images, protocol, role, fractions=fractions(0.002, 0.003), seed=0)
    more = split_images(images, protocol, role, fractions=fractions(0.01, 0.01), seed=0)
    for name, positions in few.items():
        assert set(positions) < set(more[name])


def test_each_fraction_scales_its_own_purposes() -> None:
    purposes = split_images(sized(50, 10), "report", "primary", fractions=fractions(0.01, 0.004), seed=0)
    assert {name: len(positions) for name, positions in purposes.items()} == {
        "pretrain": 400,
        "probe_train": 60,
        "probe_test": 20,
    }


def test_classes_differ_by_one_where_it_does_not_divide() -> None:
    images = sized(50, 10)
    purposes = split_images(images, "report", "primary", fractions=fractions(0.000325, 0.01), seed=0)
    assert per_class(images, purposes["pretrain"]) == [2, 2, 2, 1, 1, 1, 1, 1, 1, 1]


def with_copies(images: Images, pairs: list[tuple[int, int]]) -> Images:
    pixels = images.pixels.copy()
    for original, copy in pairs:
        pixels[copy] = pixels[original]
    return replace(images, pixels=pixels)


def test_copies_serve_one_purpose() -> None:
    # within a class, across labels, and across the official splits (the first 500 are train)
    pairs = [(0, 10), (1, 11), (2, 13), (3, 503), (4, 505), (501, 512)]
    images = with_copies(sized(50, 10), pairs)
    purposes = split_images(images, "report", "primary", fractions=fractions(0.01, 0.01), seed=0)
    assert {i for pair in pairs for i in pair} <= set(purposes["probe_train"].tolist())
    transfer = split_images(images, "report", "transfer", fractions=fractions(0.01, 0.01), seed=0)
    assert {i for pair in pairs for i in pair} <= set(transfer["probe_train"].tolist())
    for found in (purposes, transfer):
        seen = [set(part) for part in contents(images, found).values()]
        assert sum(map(len, seen)) == len(set.union(*seen))


def test_standard_leaves_out_train_copies_of_test_images() -> None:
    images = with_copies(sized(5000, 1000), [(50_000, 7), (50_001, 8), (1, 2)])
    purposes = split_images(images, "standard", "primary", fractions=FULL, seed=0)
    expected = set(range(50_000)) - {7, 8}
    assert set(purposes["pretrain"]) == set(purposes["probe_train"]) == expected
    assert set(purposes["probe_test"]) == set(range(50_000, 60_000))


def test_too_few_images_are_an_error_that_says_what_to_lower() -> None:
    with pytest.raises(ValueError, match=r"`pretrain` needs 40,000 train images, but of 500 only 500 .*lower the"):
        split_images(sized(50, 10), "report", "primary", fractions=FULL, seed=0)


def test_what_a_class_lacks_for_its_copies_comes_from_others() -> None:
    images = with_copies(sized(50, 10), [(0, i) for i in range(10, 500, 10)])  # class 0: all the same image
    purposes = split_images(images, "report", "primary", fractions=fractions(0.01, 0.01), seed=0)
    assert per_class(images, purposes["pretrain"]) == [0, *[45] * 4, *[44] * 5]
    assert per_class(images, purposes["probe_train"], "train")[0] == 50
    images = with_copies(images, [(1, i) for i in range(10, 500) if i % 10 != 0])
    with pytest.raises(
        ValueError, match="`pretrain` needs 400 train images, but of 500 only 8 are neither copies nor taken"
    ):
        split_images(images, "report", "primary", fractions=fractions(0.01, 0.01), seed=0)


def test_what_another_pretraining_saw_tests_no_probe() -> None:
    images = sized(5, 10)
    whole = {"pretrain": 1e-3, "probe": 1e-3}
    before = split_images(images, "report", "transfer", fractions=whole, seed=0)
    seen = pixel_digests(images.pixels[before["probe_test"][:7]])
    after = split_images(images, "report", "transfer", fractions=whole, seed=0, seen=seen)
    tested = {key.tobytes() for key in pixel_digests(images.pixels[after["probe_test"]])}
    assert tested.isdisjoint(key.tobytes() for key in seen)
    assert len(after["probe_test"]) == len(before["probe_test"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_unlabeled_images_only_pretrain(protocol: str) -> None:
    photos = sized(30, 0, classes=1, totals={"train": 30, "test": 0})
    photos = replace(photos, labels=np.full(30, -1), classes=())
    data = {"primary": photos, "transfer": made_up(train=30, test=10)}
    split = split_study(data, protocol, fractions=fractions(1, 1), seed=0)
    assert sorted(split) == ["primary/pretrain", "transfer/probe_test", "transfer/probe_train"]
    assert sorted(split["primary/pretrain"]) == list(range(30))
    split_checks.verified(split_checks.with_fingerprints(split, data, protocol), data, protocol)
    with pytest.raises(ValueError, match=r"`transfer` dataset .* need labels"):
        split_images(photos, protocol, "transfer", fractions=FULL, seed=0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_image_of_both_datasets_never_tests_what_saw_it(protocol: str) -> None:
    primary, transfer = made_up(train=30, test=10), made_up(train=30, test=10, seed=1)
    pixels = transfer.pixels.copy()
    pixels[::2] = primary.pixels[::2]
    data = {"primary": primary, "transfer": replace(transfer, pixels=pixels)}
    split = split_study(data, protocol, fractions=fractions(1, 0.4), seed=0)
    split_checks.check(split, data, protocol)
