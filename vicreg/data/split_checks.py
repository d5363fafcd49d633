"""Validate a split: its parts are complete, disjoint, hold every class, and were made for these images.

A split holds positions by "role/purpose" ("primary/pretrain", ...), and in its file the digest of the images that they
are positions in ("primary/fingerprint").
"""

from collections.abc import Mapping

import numpy as np

from vicreg.data.images import Images
from vicreg.data.protocols import pools

Split = Mapping[str, np.ndarray]
RERUN_HINT = "run `dvc repro split` again"

# Pairs that may share no image. What pretraining saw of the transfer dataset may train its probe, never test it.
DISJOINT = (
    ("primary/pretrain", "primary/probe_test"),
    ("primary/pretrain", "transfer/probe_test"),
    ("primary/probe_train", "primary/probe_test"),
    ("transfer/probe_train", "transfer/probe_test"),
)
DISJOINT_IN_REPORT = (("primary/pretrain", "primary/probe_train"),)  # which "standard" trains on the same images


def with_fingerprints(split: Split, data: Mapping[str, Images], protocol: str) -> dict[str, np.ndarray]:
    """Return a new split with the fingerprints of its images, after all checks; `data` are the images by role."""
    check(split, data, protocol)
    return {**split, **{f"{role}/fingerprint": np.array(images.digest) for role, images in data.items()}}


def verified(arrays: Split, data: Mapping[str, Images], protocol: str) -> dict[str, np.ndarray]:
    """Return the positions of a split as its file holds them, after all checks: it was made for these images."""
    for role, images in data.items():
        if str(arrays.get(f"{role}/fingerprint")) != images.digest:
            raise ValueError(f"the split was not made for the images of `{role}` that are there now; {RERUN_HINT}")
    split = {name: positions for name, positions in arrays.items() if not name.endswith("/fingerprint")}
    check(split, data, protocol)
    return split


def check(split: Split, data: Mapping[str, Images], protocol: str) -> None:
    """Raise ValueError unless all purposes are there, valid, hold every class, and share only what they may."""
    served = {role: pools(protocol, role, images.labeled) for role, images in data.items()}
    expected = {f"{role}/{purpose}" for role, parts in served.items() for pool in parts for purpose, _ in pool.shares}
    if split.keys() != expected:
        raise ValueError(f"the split lacks or does not need {sorted(split.keys() ^ expected)}; {RERUN_HINT}")
    keys = {}
    for name, positions in split.items():
        images = data[name.partition("/")[0]]
        valid = np.isin(positions, np.arange(len(images)))
        if not len(positions):
            fraction = "pretrain" if name.endswith("/pretrain") else "probe"
            advice = f"take more from the source, or raise the fraction `{fraction}`"
            raise ValueError(f"the split: `{name}` holds none of the {len(images):,} images of {images.name}: {advice}")
        if not valid.all() or len(np.unique(positions)) < len(positions):
            raise ValueError(f"the split: `{name}` must hold different positions below {len(images)}; {RERUN_HINT}")
        if absent := set(range(len(images.classes))) - {*images.labels[positions]} if "/probe" in name else set():
            few = ", ".join(repr(images.classes[label]) for label in sorted(absent)[:5])
            raise ValueError(
                f"the split: `{name}` holds no image of {len(absent)} of {len(images.classes)} classes of "
                f"{images.name}, such as {few}: take more from the source, or raise the fraction `probe`"
            )
        keys[name] = images.keys[positions]
    for one, other in DISJOINT if protocol == "standard" else DISJOINT + DISJOINT_IN_REPORT:
        if {one, other} <= keys.keys() and (shared := len(np.intersect1d(keys[one], keys[other]))):
            problem = f"share {shared:,} images, which the protocol `{protocol}` keeps apart"
            raise ValueError(f"the split: `{one}` and `{other}` {problem}; {RERUN_HINT}")
