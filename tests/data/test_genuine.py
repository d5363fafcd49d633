"""Genuine CIFAR, where a copy lies beside the repository: recognized, and split the same way.

The copy is `../shared/cifar`, whose `unpack.py` writes the images as their authors do.
"""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vicreg.data.cifar import recognize
from vicreg.data.images import Images
from vicreg.data.sources.local import Local
from vicreg.data.splits import split_images

UNPACK = Path(__file__).resolve().parents[3] / "shared" / "cifar" / "unpack.py"
SIZES = {
    "cifar10": ("primary", {"pretrain": 40_000, "probe_train": 15_000, "probe_test": 5_000}),
    "cifar100": ("transfer", {"probe_train": 45_000, "probe_test": 15_000}),
}
FULL = {"pretrain": 1.0, "probe": 1.0}
# SHA-256 of the keys of CIFAR-10's images for each purpose, in order: as ever.
SPLIT = {"pretrain": "0f94ba1a620424df", "probe_train": "ef0ce7e1a1b65b5f", "probe_test": "bbc3de603e6fb3f8"}

pytestmark = pytest.mark.skipif(not UNPACK.is_file(), reason="no genuine CIFAR images in ../shared/cifar")


def unpack(dataset: str, out: Path, *options: str) -> Path:
    pytest.importorskip("pillow_jxl", reason="pillow-jxl-plugin is needed to unpack ../shared/cifar")
    subprocess.run([sys.executable, str(UNPACK), dataset, str(out), *options], check=True, stdout=subprocess.DEVNULL)
    return out


def read(dataset: str, folder: Path) -> Images:
    return Local(Local.Params(folder=str(folder))).load(dataset, scratch=folder, fraction=1, seed=0)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_it_is_genuine_and_is_split_the_same_way(dataset: str, tmp_path: Path) -> None:
    role, sizes = SIZES[dataset]
    images = recognize(read(dataset, unpack(dataset, tmp_path)), dataset)
    assert images.genuine
    purposes = split_images(images, "report", role, fractions=FULL, seed=0)
    assert {name: len(positions) for name, positions in purposes.items()} == sizes
    for positions in purposes.values():
        counts = np.bincount(images.labels[positions], minlength=len(images.classes))
        assert counts.min() == counts.max()
    if dataset == "cifar10":
        prints = {name: hashlib.sha256(images.keys[part].tobytes()) for name, part in purposes.items()}
        assert {name: digest.hexdigest()[:16] for name, digest in prints.items()} == SPLIT


def test_a_part_of_the_genuine_images_must_be_asked_for(tmp_path: Path) -> None:
    images = read("cifar10", unpack("cifar10", tmp_path, "--tiles", "2", "1"))
    with pytest.raises(ValueError, match=r"train: 2,000 of 50,000.*\n.*test: 1,000 of 10,000"):
        recognize(images, "cifar10")
    allowed = recognize(images, "cifar10", allow_subset=True)
    assert (allowed.name, allowed.genuine) == ("CIFAR-10 (subset)", False)
