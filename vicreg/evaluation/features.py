"""Features: frozen representations of the images that train and test probes, in one file for an encoder and a dataset.

The file holds `name`, `genuine`, `classes`, `fingerprint`, `description` and, for the subsets `probe_train` (N) and
`probe_test` (M), representations (N, D), (M, D) float32 and labels `<subset>_labels` int64; or only `not_run`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vicreg.data.images import Images, fingerprint
from vicreg.io.arrays import load_arrays, save_arrays

SUBSETS = ("probe_train", "probe_test")
ARRAYS = [f"{subset}{end}" for subset in SUBSETS for end in ("", "_labels")]  # in FeatureSet's order
TEXTS = ("name", "genuine", "classes", "fingerprint", "description")
RERUN_HINT = "run `dvc repro features` again"
COLLAPSED = 0.5  # share of training images with another's representation above which it is no accident


@dataclass(frozen=True)
class FeatureSet:
    """Representations (N, D), (M, D) float32 of one dataset by one encoder, with labels (N,), (M,) int64.

    description: what the encoder's file says of itself. source: the features' file, for messages.
    """

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    name: str = ""
    genuine: bool = False
    fingerprint: str = ""
    description: Mapping[str, Any] = field(default_factory=dict)
    source: str = "features"

    @property
    def weights(self) -> str:
        """The digest of the encoder's weights."""
        return self.description["digest"]["encoder"]

    @property
    def about(self) -> dict[str, Any]:
        """What a result says of its dataset."""
        counts = {"classes": len(self.classes), "train": len(self.train), "test": len(self.test)}
        return {"name": self.name, "genuine": self.genuine, **counts, "weights": self.weights}


def save_features(path: Path, images: Images, arrays: Mapping[str, np.ndarray], description: Mapping[str, Any]) -> None:
    """Write the ARRAYS of `images`; description: of the encoder's file."""
    about = {"name": images.name, "genuine": images.genuine, "classes": images.classes}
    about |= {"fingerprint": fingerprint(images.pixels, images.labels)}
    about |= {"description": json.dumps(description, sort_keys=True)}
    save_arrays(path, **arrays, **{name: np.array(value) for name, value in about.items()})


def not_run(path: Path) -> str | None:
    """Why the file has no features; None where it has some."""
    return str(arrays["not_run"]) if "not_run" in (arrays := load_arrays(path)) else None


def load_features(path: Path) -> FeatureSet:
    """Read what `save_features` wrote; raises ValueError for another file, and where `check_features` does."""
    arrays = load_arrays(path)
    if missing := [name for name in (*TEXTS, *ARRAYS) if name not in arrays]:
        raise ValueError(f"{path} holds no features, it lacks {', '.join(missing)}: {RERUN_HINT}")
    train, train_labels, test, test_labels = (arrays[name] for name in ARRAYS)
    about: dict[str, Any] = {name: arrays[name].tolist() for name in TEXTS} | {"source": str(path)}
    about |= {"classes": tuple(about["classes"]), "description": json.loads(about["description"])}
    features = FeatureSet(train, train_labels, test, test_labels, **about)
    check_features(features)
    return features


def check_features(features: FeatureSet) -> None:
    """Raise ValueError unless a probe that learns from these features can be judged on them.

    What is wrong may be shapes, numbers that are not finite, labels, an encoder that collapsed, or a test image that
    has the very representation of a training image.
    """
    train, test, num_classes = features.train, features.test, len(features.classes)
    pairs = ((train, features.train_labels), (test, features.test_labels))
    for subset, (rows, labels) in zip(SUBSETS, pairs, strict=True):
        name = f"{features.source}: `{subset}`"
        if rows.dtype != np.float32 or rows.ndim != 2 or not rows.size or rows.shape[1] != train.shape[1]:
            raise ValueError(f"{name} must be (N, D) float32, it is {rows.shape} {rows.dtype}: {RERUN_HINT}")
        if not np.isfinite(rows).all():
            raise ValueError(f"{name} holds numbers that are not finite: {RERUN_HINT}")
        if labels.shape != (len(rows),) or labels.dtype != np.int64 or not set(labels) <= set(range(num_classes)):
            raise ValueError(f"{name} needs labels ({len(rows)},) int64 in 0..{num_classes - 1}: {RERUN_HINT}")
        if absent := num_classes - len(set(labels)):
            raise ValueError(
                f"{name} lacks {absent} of {num_classes} classes: raise the fraction `probe`, or split again"
            )
    distinct = {row.tobytes() for row in train + np.float32(0)}  # -0.0 becomes 0.0, its equal
    if len(distinct) <= COLLAPSED * len(train) and len(train) > 1:
        raise ValueError(
            f"{features.source}: the encoder has collapsed: {len(train):,} training images have only {len(distinct):,} "
            "different representations. Pretrain again with a lower `optimizer.base_lr` or other numbers of the method."
        )
    if shared := sum(row.tobytes() in distinct for row in test + np.float32(0)):
        raise ValueError(
            f"{features.source}: {shared:,} of {len(test):,} test images have the very representation of a training "
            "image, so the probe would be tested on what it was trained on: run `dvc repro split` and `dvc repro "
            "features` again. Where the split is sound, the encoder does not tell these images apart: pretrain again."
        )
