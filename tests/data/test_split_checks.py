"""A split that leaks, or was made for other images, stops the study."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cifar_fakes import made_up

from vicreg.data import split_checks, splits
from vicreg.data.images import Images
from vicreg.io.arrays import load_arrays, save_arrays


@pytest.fixture(scope="module")
def data() -> dict[str, Images]:
    return {"primary": made_up(train=30, test=10), "transfer": made_up(train=30, test=10, seed=1)}


def drawn(data: dict[str, Images], protocol: str = "report") -> dict[str, np.ndarray]:
    return splits.split_study(data, protocol, fractions={"pretrain": 0.25, "probe": 0.4}, seed=0)


def with_copy(data: dict[str, Images], source: tuple[str, int], target: tuple[str, int]) -> dict:
    """The data where the image at `target` has the pixels of the one at `source`, each (role, position)."""
    pixels = data[target[0]].pixels.copy()
    pixels[target[1]] = data[source[0]].pixels[source[1]]
    return data | {target[0]: replace(data[target[0]], pixels=pixels)}


@pytest.mark.parametrize("protocol", ["report", "standard"])
def test_a_sound_split_is_verified_with_its_images(data, protocol, tmp_path):
    split = drawn(data, protocol)
    save_arrays(tmp_path / "split.npz", **split_checks.with_fingerprints(split, data, protocol))
    again = split_checks.verified(load_arrays(tmp_path / "split.npz"), data, protocol)
    assert again.keys() == split.keys()
    assert all(np.array_equal(again[name], split[name]) for name in split)


PRIMARY, TRANSFER = (
    tuple(f"{role}/{part}" for part in ("probe_train", "probe_test")) for role in ("primary", "transfer")
)
LEAKS = [PRIMARY, TRANSFER, ("primary/pretrain", PRIMARY[1]), ("primary/pretrain", TRANSFER[1])]


@pytest.mark.parametrize(
    ("one", "other", "protocol"),
    [(*pair, protocol) for pair in LEAKS for protocol in ("report", "standard")]
    + [("primary/pretrain", PRIMARY[0], "report")],
)
def test_an_image_on_both_sides_of_a_test_stops_the_study(data, one, other, protocol):
    split = drawn(data, protocol)
    ends = [(name.partition("/")[0], int(split[name][-1])) for name in (one, other)]
    leaking = with_copy(data, *ends)
    with pytest.raises(ValueError, match=rf"`{one}` and `{other}` share \d images.*`{protocol}`.*`dvc repro split`"):
        split_checks.with_fingerprints(split, leaking, protocol)


def test_what_the_protocols_may_share_passes(data):
    split = drawn(data)
    seen, trains = ("primary", int(split["primary/pretrain"][0])), ("transfer", int(split["transfer/probe_train"][0]))
    split_checks.with_fingerprints(split, with_copy(data, seen, trains), "report")
    shared = split | {"primary/probe_train": np.concatenate([split["primary/pretrain"], split["primary/probe_train"]])}
    split_checks.with_fingerprints(shared, data, "standard")
    with pytest.raises(ValueError, match="`primary/pretrain` and `primary/probe_train` share"):
        split_checks.with_fingerprints(shared, data, "report")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda known: known.subset(np.arange(len(known))[::-1]), "order"),
        (lambda known: replace(known, labels=(known.labels + 1) % 10), "labels"),
        (lambda known: replace(known, pixels=known.pixels ^ 1), "pixels"),
        (lambda known: known.subset(np.arange(len(known) - 1)), "one less"),
    ],
)
@pytest.mark.parametrize("role", ["primary", "transfer"])
def test_a_split_made_for_other_images_is_not_trusted(data, change, message, role):
    split = split_checks.with_fingerprints(drawn(data), data, "report")
    with pytest.raises(ValueError, match=f"not made for the images of `{role}` that are there now; run `dvc repro spl"):
        split_checks.verified(split, data | {role: change(data[role])}, "report")
    with pytest.raises(ValueError, match="not made for the images of `primary`"):
        split_checks.verified(drawn(data), data, "report")


def test_a_part_without_images_says_what_to_raise(data):
    split = drawn(data) | {"transfer/probe_train": np.empty(0, np.int64)}
    with pytest.raises(ValueError, match=r"holds none of the 400 images of made up: .* raise the fraction `probe`"):
        split_checks.with_fingerprints(split, data, "report")


def first(value: int) -> Any:
    return lambda positions: np.concatenate([[value], positions[1:]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first(-1), "different positions below 400"),
        (first(400), "different positions below 400"),
        (lambda positions: positions[[0, *range(len(positions))]], "different positions below 400"),
        (lambda positions: None, r"lacks or does not need \['transfer/probe_train'\]"),
    ],
)
def test_positions_that_are_none_stop_the_study(data, change, message):
    split = drawn(data)
    changed = change(split.pop("transfer/probe_train"))
    if changed is not None:
        split["transfer/probe_train"] = changed
    with pytest.raises(
        ValueError, match=rf"`transfer/probe_train` must hold {message}.*|{message}.*run `dvc repro split` again"
    ):
        split_checks.with_fingerprints(split, data, "report")


@pytest.mark.parametrize("part", ["probe_train", "probe_test"])
def test_a_class_that_a_probe_lacks_stops_the_study(data, part):
    split, known = drawn(data), data["transfer"]
    kept = split[f"transfer/{part}"]
    split[f"transfer/{part}"] = kept[known.labels[kept] != 3]
    with pytest.raises(
        ValueError, match=rf"`transfer/{part}` holds no image of 1 of 10 classes of made up, such as 'cat'"
    ):
        split_checks.with_fingerprints(split, data, "report")
