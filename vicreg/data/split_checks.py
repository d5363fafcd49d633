"""Checks of a finished split, over both datasets: whatever would make its numbers say something else stops the study.

A split holds, for "primary" and "transfer", the positions of each purpose ("primary/pretrain", ...) and a mark of the
images that they are positions in ("primary/images").
"""

import hashlib
from collections.abc import Mapping

import numpy as np

from vicreg.data.images import Images, pixel_digests
from vicreg.data.protocols import ROLES

AGAIN = "run `dvc repro split` again"
PURPOSES = tuple(f"{role}/{purpose}" for role, purposes in ROLES.items() for purpose in purposes)
MARKS = tuple(f"{role}/images" for role in ROLES)

# Pairs that may share no image. What pretraining saw of the transfer dataset may train its probe, never test it.
APART = (
    ("primary/pretrain", "primary/probe_test"),
    ("primary/pretrain", "transfer/probe_test"),
    ("primary/probe_train", "primary/probe_test"),
    ("transfer/probe_train", "transfer/probe_test"),
)
APART_IN_REPORT = (("primary/pretrain", "primary/probe_train"),)  # which "standard" trains on the same images


def marked(split: Mapping[str, np.ndarray], data: Mapping[str, Images], protocol: str) -> dict[str, np.ndarray]:
    """Return a new split with the marks of its images, after all checks.

    split: positions (int64) by purpose; data: images by role, "primary" and "transfer".
    Raises ValueError that says what is wrong with the split, and what to do.
    """
    keys = {role: pixel_digests(images.pixels) for role, images in data.items()}
    check_purposes(split, data, keys, protocol)
    return {**split, **marks(data, keys)}


def trusted(split: Mapping[str, np.ndarray], data: Mapping[str, Images], protocol: str) -> dict[str, np.ndarray]:
    """Return the purposes of a split that was read from its file, after all checks: it was made for these images.

    split, data, raises: as for `marked`.
    """
    keys = {role: pixel_digests(images.pixels) for role, images in data.items()}
    for name, mark in marks(data, keys).items():
        if str(split.get(name)) != str(mark):
            role = name.partition("/")[0]
            raise ValueError(f"the split was not made for the images of `{role}` that are there now; {AGAIN}")
    purposes = {name: positions for name, positions in split.items() if name not in MARKS}
    check_purposes(purposes, data, keys, protocol)
    return purposes


def marks(data: Mapping[str, Images], keys: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Hex SHA-256 over the pixels' digests (N,), labels and official splits of each role's images, in their order."""
    found = {}
    for role, images in data.items():
        parts = (keys[role], images.labels, images.official)
        found[f"{role}/images"] = np.array(hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest())
    return found


def check_purposes(
    split: Mapping[str, np.ndarray], data: Mapping[str, Images], keys: Mapping[str, np.ndarray], protocol: str
) -> None:
    """Raise ValueError unless all purposes are there, valid, hold every class, and share only what they may."""
    if split.keys() != set(PURPOSES):
        odd = ", ".join(f"`{name}`" for name in sorted(split.keys() ^ set(PURPOSES)))
        raise ValueError(f"the split must hold {', '.join(PURPOSES)}; lacking or unknown: {odd}; {AGAIN}")
    for name, positions in split.items():
        images = data[name.partition("/")[0]]
        check_positions(name, positions, len(images))
        if not name.endswith("/pretrain"):
            check_classes(name, images, positions)
    check_apart(split, keys, protocol)


def check_positions(name: str, positions: np.ndarray, count: int) -> None:
    """Raise ValueError unless `positions` are distinct int64 positions among `count` images, at least one."""
    if positions.dtype != np.int64 or positions.ndim != 1 or not len(positions):
        found = f"{positions.dtype} {positions.shape}"
        raise ValueError(f"the split: `{name}` must be positions (N,) int64, N at least 1; it is {found}; {AGAIN}")
    if positions.min() < 0 or positions.max() >= count:
        reach = f"{positions.min()}..{positions.max()}"
        raise ValueError(f"the split: `{name}` holds positions {reach}, but there are {count} images; {AGAIN}")
    twice = len(positions) - len(np.unique(positions))
    if twice:
        raise ValueError(f"the split: `{name}` names {twice} of its images more than once; {AGAIN}")


def check_classes(name: str, images: Images, positions: np.ndarray) -> None:
    """Raise ValueError where a class of the dataset has no image among `positions`."""
    counts = np.bincount(images.labels[positions], minlength=len(images.classes))
    absent = [images.classes[label] for label in np.flatnonzero(counts == 0)]
    if absent:
        few = ", ".join(map(repr, absent[:5])) + (", ..." if len(absent) > 5 else "")
        raise ValueError(
            f"the split: `{name}` holds no image of {len(absent)} of {len(images.classes)} classes of {images.name}: "
            f"{few}. Take more from the source, or raise the fraction `probe`, and {AGAIN}"
        )


def check_apart(split: Mapping[str, np.ndarray], keys: Mapping[str, np.ndarray], protocol: str) -> None:
    """Raise ValueError where purposes that must be apart hold the same pixels, in whichever dataset they lie."""
    held = {name: set(keys[name.partition("/")[0]][positions].tolist()) for name, positions in split.items()}
    for one, other in APART if protocol == "standard" else APART + APART_IN_REPORT:
        shared = len(held[one] & held[other])
        if shared:
            raise ValueError(
                f"the split: `{one}` and `{other}` share {shared:,} images, which the protocol `{protocol}` keeps "
                f"apart; {AGAIN}"
            )
