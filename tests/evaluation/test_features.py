"""Features on which no probe could be judged honestly are refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blobs import blobs

from vicreg.data.images import Images, fingerprint
from vicreg.evaluation.features import load_features, not_run, save_features
from vicreg.io.arrays import load_arrays, save_arrays

FEATURES = blobs()
TRAIN, TEST, LABELS = FEATURES.train, FEATURES.test, FEATURES.train_labels
NAMES = ("probe_train", "probe_train_labels", "probe_test", "probe_test_labels")


def pictures() -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    return Images(pixels, np.arange(8) % 4, np.full(8, "train"), tuple("abcd"), "made up", False)


def write(folder: Path, **changes: Any) -> Path:
    """A file of features where some arrays are others, or not there."""
    path = folder / "features.npz"
    arrays = dict(zip(NAMES, (TRAIN, LABELS, TEST, FEATURES.test_labels), strict=True))
    save_features(path, pictures(), arrays, {"digest": {"encoder": "ab"}})
    content = {name: array for name, array in (load_arrays(path) | changes).items() if array is not None}
    save_arrays(path, **content)
    return path


def test_features_come_back_from_their_file(tmp_path):
    features = load_features(write(tmp_path))
    for ours, saved in ((features.train, TRAIN), (features.test, TEST), (features.train_labels, LABELS)):
        np.testing.assert_array_equal(ours, saved)
    images = pictures()
    assert (features.name, features.genuine, features.classes) == ("made up", False, tuple("abcd"))
    assert features.fingerprint == fingerprint(images.pixels, images.labels) and features.weights == "ab"
    assert features.about | {"train": 400, "test": 400, "classes": 4, "name": "made up"} == features.about


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probe_test": np.concatenate([TEST[:-2], TRAIN[:2]])}, "2 of 400 test images have the very representation"),
        ({"probe_test": TRAIN}, "400 of 400 test images have the very representation of a training image"),
        ({"probe_train": TRAIN * 0, "probe_test": TEST * 0}, "the encoder has collapsed: 400 .* only 1 different"),
        ({"probe_train": -TRAIN * 0, "probe_test": TEST * 0}, "the encoder has collapsed: 400 .* only 1 different"),
        ({"probe_train": TRAIN[LABELS]}, "the encoder has collapsed: 400 .* only 4 different.*`optimizer.base_lr`"),
        ({"probe_test_labels": None, "name": None}, "cannot be read .*name.*run `dvc repro features`"),
    ],
)
def test_features_on_which_nothing_can_be_judged_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=rf"features\.npz.*{message}"):
        load_features(write(tmp_path, **changes))


def test_a_file_without_features_says_why(tmp_path):
    assert not_run(write(tmp_path)) is None
    save_arrays(tmp_path / "features.npz", not_run=np.array("no weights"))
    assert not_run(tmp_path / "features.npz") == "no weights"
    for content in (b"", b"hello"):
        (tmp_path / "features.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"features\.npz"):
            load_features(tmp_path / "features.npz")
