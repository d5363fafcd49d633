"""Validate a split: its parts are complete, disjoint, hold every class, and were made for these images.

A split holds positions by "role/purpose" ("primary/pretrain", ...), and in its file the digest of the images that they
are positions in ("primary/fingerprint").
"""

from collections.abc import Mapping

import numpy as np

from vicreg.data.images import Images
from vicreg.data.protocols import purposes

RERUN_HINT = "run `dvc repro split` again"

# Pairs that may share no image. What pretraining saw of the transfer dataset may train its probe, never test it.
DISJOINT = (
    ("primary/pretrain", "primary/probe_test"),
    ("primary/pretrain", "transfer/probe_test"),
    ("primary/probe_train", "primary/probe_test"),
    ("transfer/probe_train", "transfer/probe_test"),
)
DISJOINT_IN_REPORT = (("primary/pretrain", "primary/probe_train"),)  # which "standard" trains on the same images


def fingerprints(data: Mapping[str, Images]) -> dict[str, np.ndarray]:
    """The digest of each role's images, in their order, by "role/fingerprint"."""
    return {f"{role}/fingerprint": np.array(images.digest) for role, images in data.items()}


def with_fingerprints(
    split: Mapping[str, np.ndarray], data: Mapping[str, Images], protocol: str
) -> dict[str, np.ndarray]:
    """Return a new split with the fingerprints of its images, after all checks.

    split: positions (int64) by "role/purpose"; data: images by role, "primary" and "transfer".
    Raises ValueError that says what is wrong with the split, and what to do.
    """
    check(split, data, protocol)
    return {**split, **fingerprints(data)}


def verified(arrays: Mapping[str, np.ndarray], data: Mapping[str, Images], protocol: str) -> dict[str, np.ndarray]:
    """Return the positions of a split as its file holds them, after all checks: it was made for these images."""
    for name, fingerprint in fingerprints(data).items():
        if str(arrays.get(name)) != str(fingerprint):
            role = name.partition("/")[0]
            raise ValueError(f"the split was not made for the images of `{role}` that are there now; {RERUN_HINT}")
    split = {name: positions for name, positions in arrays.items() if not name.endswith("/fingerprint")}
    check(split, data, protocol)
    return split


def check(split: Mapping[str, np.ndarray], data: Mapping[str, Images], protocol: str) -> None:
    """Raise ValueError unless all purposes are there, valid, hold every class, and share only what they may."""
    expected = {f"{role}/{purpose}" for role, images in data.items() for purpose in purposes(role, images.labeled)}
    if split.keys() != expected:
        odd = ", ".join(f"`{name}`" for name in sorted(split.keys() ^ expected))
        raise ValueError(f"the split must hold {', '.join(sorted(expected))}; missing or unknown: {odd}; {RERUN_HINT}")
    for name, positions in split.items():
        images = data[name.partition("/")[0]]
        problem = problem_of(positions, len(images))
        if problem:
            raise ValueError(f"the split: `{name}` {problem}; {RERUN_HINT}")
        if not name.endswith("/pretrain"):
            check_classes(name, images, positions)
    keys = {name: data[name.partition("/")[0]].keys[positions] for name, positions in split.items()}
    for one, other in DISJOINT if protocol == "standard" else DISJOINT + DISJOINT_IN_REPORT:
        shared = len(np.intersect1d(keys[one], keys[other])) if one in keys and other in keys else 0
        if shared:
            raise ValueError(
                f"the split: `{one}` and `{other}` share {shared:,} images, which the protocol `{protocol}` keeps "
                f"apart; {RERUN_HINT}"
            )


def problem_of(positions: np.ndarray, count: int) -> str | None:
    """Why these are not distinct int64 positions among `count` images, at least one; None where they are."""
    if positions.dtype != np.int64 or positions.ndim != 1 or not len(positions):
        return f"must be positions (N,) int64, N at least 1; it is {positions.dtype} {positions.shape}"
    if positions.min() < 0 or positions.max() >= count:
        return f"holds positions {positions.min()}..{positions.max()}, but there are {count} images"
    twice = len(positions) - len(np.unique(positions))
    return f"names {twice} of its images more than once" if twice else None


def check_classes(name: str, images: Images, positions: np.ndarray) -> None:
    """Raise ValueError where a class of the dataset has no image among `positions`."""
    counts = np.bincount(images.labels[positions], minlength=len(images.classes))
    absent = [images.classes[label] for label in np.flatnonzero(counts == 0)]
    if absent:
        few = ", ".join(map(repr, absent[:5])) + (", ..." if len(absent) > 5 else "")
        raise ValueError(
            f"the split: `{name}` holds no image of {len(absent)} of {len(images.classes)} classes of {images.name}: "
            f"{few}. Take more from the source, or raise the fraction `probe`, and {RERUN_HINT}"
        )
