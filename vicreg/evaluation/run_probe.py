"""Blind: a probe guesses from what it may see, and only then are the test labels read from the disk.

A file of features holds `name`, `genuine`, `classes`, `fingerprint`, `description` and, for the parts `probe_train` (N)
and `probe_test` (M), representations (N, D), (M, D) float32 and labels `<part>_labels` int64; or only `not_run`.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vicreg.data.images import load_arrays
from vicreg.io import plugins

HIDDEN = "probe_test_labels"
SEEN = ("name", "genuine", "classes", "fingerprint", "description", "probe_train", "probe_train_labels", "probe_test")
AGAIN = "run `dvc repro features` again"
ROUNDING = 1e-4  # of the highest score: what two libraries may differ by when they add up the same products
CHECKED = 2000  # test images that a head is tried on: as many as take no time beside the probe
COLLAPSED = 0.5  # of the training images have another's representation: then it is no accident


def load(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of a file of features but the test labels, after all checks; only `not_run` where it has that.

    Raises ValueError for a damaged or other file, and where `check` finds that it gives no honest result.
    """
    found = load_arrays(path, lambda name: name != HIDDEN)
    if "not_run" in found:
        return found
    lacking = [name for name in SEEN if name not in found]
    if lacking:
        raise ValueError(f"{path} holds no features, it lacks {', '.join(lacking)}: {AGAIN}")
    check(found, path)
    return found


def check(features: dict[str, np.ndarray], place: Path | str) -> None:
    """Raise ValueError unless a probe that learns from these features can be judged on them.

    What is wrong may be shapes, numbers that are not finite, labels, an encoder that collapsed, or a test image that
    is a training image.
    """
    train, labels, test = features["probe_train"], features["probe_train_labels"], features["probe_test"]
    for part, rows in (("probe_train", train), ("probe_test", test)):
        if rows.dtype != np.float32 or rows.ndim != 2 or not rows.size or rows.shape[1] != train.shape[-1]:
            raise ValueError(f"{place}: `{part}` must be (N, D) float32, it is {rows.shape} {rows.dtype}: {AGAIN}")
        if not np.isfinite(rows).all():
            raise ValueError(f"{place}: `{part}` holds numbers that are not finite: {AGAIN}")
    if features["classes"].ndim != 1:
        raise ValueError(f"{place}: `classes` must be (C,) names, they are {features['classes'].shape}: {AGAIN}")
    check_labels(labels, len(train), len(features["classes"]), f"{place}: `probe_train_labels`")
    check_apart(train, test, place)


def check_labels(labels: np.ndarray, count: int, classes: int, place: str) -> None:
    """Raise ValueError unless `labels` are (count,) int64 in 0..classes-1, every class among them."""
    if labels.shape != (count,) or labels.dtype != np.int64:
        raise ValueError(f"{place} must be ({count},) int64, they are {labels.shape} {labels.dtype}: {AGAIN}")
    if labels.min() < 0 or labels.max() >= classes:
        reach = f"{labels.min()}..{labels.max()}"
        raise ValueError(f"{place} must lie in 0..{classes - 1}, they go over {reach}: {AGAIN}")
    absent = classes - len(np.unique(labels))
    if absent:
        raise ValueError(f"{place} lack {absent} of {classes} classes: raise the fraction `probe`, or split again")


def check_apart(train: np.ndarray, test: np.ndarray, place: Path | str) -> None:
    """Raise ValueError where a test image has the very representation of a training image."""
    known = [row_digest(row) for row in train]
    distinct = set(known)
    if len(distinct) <= COLLAPSED * len(known) and len(known) > 1:
        raise ValueError(
            f"{place}: the encoder has collapsed: {len(known):,} training images have only {len(distinct):,} different "
            "representations. Pretrain again, with a lower `optimizer.base_lr` or a larger `vicreg.variance`."
        )
    shared = sum(row_digest(row) in distinct for row in test)
    if shared:
        raise ValueError(
            f"{place}: {shared:,} of {len(test):,} test images have the very representation of a training image, so "
            "the probe would be tested on what it was trained on: run `dvc repro split` and `dvc repro features` "
            "again. Where the split is sound, the encoder does not tell these images apart: pretrain again."
        )


def row_digest(row: np.ndarray) -> bytes:
    return hashlib.sha256((row + np.float32(0)).tobytes()).digest()  # -0.0 becomes 0.0, its equal


def guess(
    probe: str, features: dict[str, np.ndarray], settings: dict[str, Any], *, seed: int, device: torch.device
) -> tuple[list[np.ndarray], dict[str, Any], nn.Module]:
    """Return the final guesses of the member `probe` after each of its epochs, the settings that it chose, its head.

    features: what `load` returned, without the test labels. Raises ValueError where the guesses are none, or not those
    of the head.
    """
    if HIDDEN in features:
        raise ValueError(f"the probe {probe} must not see `{HIDDEN}`: read them after it has guessed")
    classes, count = len(features["classes"]), len(features["probe_test"])
    epochs, chosen, head = plugins.member("probes", probe).guess(
        features["probe_train"],
        features["probe_train_labels"],
        features["probe_test"],
        classes=classes,
        seed=seed,
        device=device,
        **settings,
    )
    if not epochs:
        raise ValueError(f"the probe {probe} made no guesses")
    kept = [final(guesses, count, classes, probe) for guesses in epochs]
    check_head(head, features["probe_test"][:CHECKED], kept[-1][:CHECKED], probe, device)
    return kept, chosen, head.cpu()


def final(guesses: np.ndarray, count: int, classes: int, probe: str) -> np.ndarray:
    """Return a copy of guesses (count, k) that nothing changes any more; raises ValueError unless all are classes."""
    kept = np.array(guesses)
    fits = kept.ndim == 2 and len(kept) == count and kept.shape[1] >= min(5, classes) and kept.dtype.kind in "iu"
    if not fits or kept.min() < 0 or kept.max() >= classes:
        raise ValueError(
            f"the probe {probe} must guess ({count}, {min(5, classes)} or more) classes in 0..{classes - 1}, it "
            f"returned {kept.shape} {kept.dtype}"
        )
    kept.setflags(write=False)
    return kept


def check_head(head: nn.Module, test: np.ndarray, guesses: np.ndarray, probe: str, device: torch.device) -> None:
    """Raise ValueError unless the head's best classes of `test` (M, D) are the guesses (M, k), up to rounding."""
    with torch.inference_mode():
        scores = head.scores(torch.from_numpy(test).to(device)).cpu().numpy()  # type: ignore[operator]
    best, guessed = -np.sort(-scores, axis=1), np.take_along_axis(scores, guesses, axis=1)
    slack = ROUNDING * np.abs(scores[np.isfinite(scores)]).max(initial=0)
    wrong = int((~(guessed >= best[:, : guesses.shape[1]] - slack)).any(axis=1).sum())
    if wrong:
        raise ValueError(
            f"the head of the probe {probe} would guess other classes than the probe did, for {wrong:,} of "
            f"{len(test):,} test images: look at what vicreg/probes/{probe}.py returns as its head"
        )


def revealed(path: Path, features: dict[str, np.ndarray], guesses: list[np.ndarray]) -> np.ndarray:
    """Read the test labels (M,) int64, in exchange for final guesses; raises ValueError for labels that do not fit."""
    if not guesses or any(array.flags.writeable for array in guesses):
        raise ValueError("test labels are read only when the guesses are final: take them from `run_probe.guess`")
    found = load_arrays(path, lambda name: name == HIDDEN)
    if HIDDEN not in found:
        raise ValueError(f"{path} lacks `{HIDDEN}`: {AGAIN}")
    check_labels(found[HIDDEN], len(features["probe_test"]), len(features["classes"]), f"{path}: `{HIDDEN}`")
    return found[HIDDEN]
