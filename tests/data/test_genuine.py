"""Genuine CIFAR, where a copy lies beside the repository: recognized in every layout, split the same way.

The copy is `../shared/cifar`, whose `unpack.py` writes the images in the layouts that people have.
"""

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from vicreg.data.cifar import recognize
from vicreg.data.cifar_files import LAYOUTS
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


def layout(dataset: str, kind: str, root: Path) -> Path:
    """Return a folder with the dataset as pickles, an archive of them, or PNG files."""
    if kind == "png":
        return unpack(dataset, root / kind, "--layout", "png")
    if kind == "pickles":
        return unpack(dataset, root / kind)
    names, folder = LAYOUTS[dataset], root / kind
    folder.mkdir()
    with tarfile.open(folder / names.archive, "w:gz", compresslevel=1) as archive:
        archive.add(root / "pickles" / names.folder, names.folder)
    return folder


def read(dataset: str, folder: Path) -> Images:
    return Local(Local.Params(folder=str(folder))).load(dataset, scratch=folder, fraction=1, seed=0)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_every_layout_is_genuine_and_is_split_the_same_way(dataset: str, tmp_path: Path) -> None:
    role, sizes = SIZES[dataset]
    seen: list[dict[str, np.ndarray]] = []
    for kind in ("pickles", "archive", "png"):
        images = recognize(read(dataset, layout(dataset, kind, tmp_path)), dataset)  # in the files' order
        assert images.genuine
        purposes = split_images(images, "report", role, fractions=FULL, seed=0)
        assert {name: len(positions) for name, positions in purposes.items()} == sizes
        for positions in purposes.values():
            counts = np.bincount(images.labels[positions], minlength=len(images.classes))
            assert counts.min() == counts.max()
        if dataset == "cifar10":
            prints = {name: hashlib.sha256(images.keys[part].tobytes()) for name, part in purposes.items()}
            assert {name: digest.hexdigest()[:16] for name, digest in prints.items()} == SPLIT
        seen.append({name: images.pixels[positions] for name, positions in purposes.items()})
    for other in seen[1:]:
        assert all(np.array_equal(seen[0][name], other[name]) for name in sizes)


def test_a_part_of_the_genuine_images_must_be_asked_for(tmp_path: Path) -> None:
    images = read("cifar10", unpack("cifar10", tmp_path, "--tiles", "2", "1"))
    with pytest.raises(ValueError, match=r"train: 2,000 of 50,000.*\n.*test: 1,000 of 10,000"):
        recognize(images, "cifar10")
    allowed = recognize(images, "cifar10", allow_subset=True)
    assert (allowed.name, allowed.genuine) == ("CIFAR-10 (subset)", False)
