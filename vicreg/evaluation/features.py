"""Features: frozen representations of the images that train and test probes, in one file for an encoder and a dataset.

The file holds `name`, `genuine`, `classes`, `fingerprint`, `description` and, for the subsets `probe_train` (N) and
`probe_test` (M), representations (N, D), (M, D) float32 and labels `<subset>_labels` int64; or only `not_run`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vicreg.data.images import Images, fingerprint
from vicreg.io.arrays import load_arrays, save_arrays
from vicreg.io.description import identity

SUBSETS = ("probe_train", "probe_test")
ARRAYS = [f"{subset}{end}" for subset in SUBSETS for end in ("", "_labels")]  # in FeatureSet's order
TEXTS = ("name", "genuine", "classes", "fingerprint", "description")
COLLAPSED = 0.5  # share of training images with another's representation above which it is no accident


@dataclass(frozen=True)
class FeatureSet:
    """Representations of one dataset by one encoder, to train probes on and to test them."""

    train: np.ndarray  # (N, D) float32
    train_labels: np.ndarray  # (N,) int64
    test: np.ndarray  # (M, D) float32
    test_labels: np.ndarray  # (M,) int64
    classes: tuple[str, ...]
    name: str = ""
    genuine: bool = False
    fingerprint: str = ""
    description: Mapping[str, Any] = field(default_factory=dict)  # what the encoder's file says of itself

    @property
    def weights(self) -> str:
        """What tells them from others, see `vicreg.io.description.identity`."""
        return identity(self.description)

    @property
    def about(self) -> dict[str, Any]:
        """What a result says of its dataset."""
        counts = {"classes": len(self.classes), "train": len(self.train), "test": len(self.test)}
        return {"name": self.name, "genuine": self.genuine, **counts, "weights": self.weights}


def save_features(path: Path, images: Images, arrays: Mapping[str, np.ndarray], description: Mapping[str, Any]) -> None:
    """Write the ARRAYS of `images`; description: of the encoder's file."""
    text = json.dumps(description, sort_keys=True)
    values = (images.name, images.genuine, images.classes, fingerprint(images.pixels, images.labels), text)
    save_arrays(path, **arrays, **dict(zip(TEXTS, map(np.array, values), strict=True)))


def not_run(path: Path) -> str | None:
    """Why the file has no features; None where it has some."""
    return str(arrays["not_run"]) if "not_run" in (arrays := load_arrays(path)) else None


def load_features(path: Path) -> FeatureSet:
    """Read what `save_features` wrote; raises ValueError for another file, and for the first of its `problems`."""
    arrays = load_arrays(path, (*TEXTS, *ARRAYS))
    about: dict[str, Any] = {name: arrays[name].tolist() for name in TEXTS}
    about |= {"classes": tuple(about["classes"]), "description": json.loads(about["description"])}
    train, train_labels, test, test_labels = (arrays[name] for name in ARRAYS)
    features = FeatureSet(train, train_labels, test, test_labels, **about)
    for problem in problems(features):
        raise ValueError(f"{path}: {problem}")
    return features


def load_by_role(files: Mapping[str, Path]) -> tuple[dict[str, FeatureSet], str | None]:
    """Read the features that the files of some roles hold; also why the first file without has none."""
    reasons = {role: not_run(file) for role, file in files.items()}
    known = {role: load_features(files[role]) for role, reason in reasons.items() if not reason}
    return known, next(filter(None, reasons.values()), None)


def problems(features: FeatureSet) -> Iterator[str]:
    """Why no probe that learns from these features can be judged on them, and what to run."""
    train, test = features.train, features.test
    distinct = {row.tobytes() for row in train + np.float32(0)}  # -0.0 becomes 0.0, its equal
    if len(distinct) <= COLLAPSED * len(train) and len(train) > 1:
        yield (
            f"the encoder has collapsed: {len(train):,} training images have only {len(distinct):,} different "
            "representations. Pretrain again with a lower `optimizer.base_lr` or other numbers of the method"
        )
    if shared := sum(row.tobytes() in distinct for row in test + np.float32(0)):
        yield (
            f"{shared:,} of {len(test):,} test images have the very representation of a training image. Either the "
            "split leaks: run `dvc repro split` and `dvc repro features`; or the encoder does not tell them apart"
        )
