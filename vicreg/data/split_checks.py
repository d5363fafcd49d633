"""Validate a split: its parts are complete, disjoint, hold every class, and were made for these images.

A split holds positions by "role/purpose" ("primary/pretrain", ...), and in its file the digest of the images that they
are positions in ("primary/fingerprint").
"""

from collections.abc import Iterator, Mapping

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
    """Return a new split with the fingerprints of its images, after all checks; `data` are the images by role."""
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
    problem = next(problems(split, data, protocol), None)
    if problem:
        raise ValueError(f"the split: {problem}; {RERUN_HINT}")


def problems(split: Mapping[str, np.ndarray], data: Mapping[str, Images], protocol: str) -> Iterator[str]:
    roles = data.items()
    expected = {f"{role}/{name}" for role, images in roles for name in purposes(protocol, role, images.labeled)}
    if split.keys() != expected:
        odd = ", ".join(f"`{name}`" for name in sorted(split.keys() ^ expected))
        yield f"it must hold {', '.join(sorted(expected))}; missing or unknown: {odd}"
    for name, positions in split.items():
        images = data[name.partition("/")[0]]
        if positions.dtype != np.int64 or positions.ndim != 1 or not len(positions):
            yield f"`{name}` must be positions (N,) int64, N at least 1; it is {positions.dtype} {positions.shape}"
        if positions.min() < 0 or positions.max() >= len(images):
            yield f"`{name}` holds positions {positions.min()}..{positions.max()}, but there are {len(images)} images"
        if twice := len(positions) - len(np.unique(positions)):
            yield f"`{name}` names {twice} of its images more than once"
        absent = [] if name.endswith("/pretrain") else set(range(len(images.classes))) - {*images.labels[positions]}
        if absent:
            few = ", ".join([repr(images.classes[label]) for label in sorted(absent)][:5] + ["..."] * (len(absent) > 5))
            yield (
                f"`{name}` holds no image of {len(absent)} of {len(images.classes)} classes of {images.name}: {few}. "
                "Take more from the source, or raise the fraction `probe`"
            )
    keys = {name: data[name.partition("/")[0]].keys[positions] for name, positions in split.items()}
    for one, other in DISJOINT if protocol == "standard" else DISJOINT + DISJOINT_IN_REPORT:
        if {one, other} <= keys.keys() and (shared := len(np.intersect1d(keys[one], keys[other]))):
            yield f"`{one}` and `{other}` share {shared:,} images, which the protocol `{protocol}` keeps apart"
