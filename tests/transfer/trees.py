"""Fixtures: drawn images in the exact layouts of VOC07, Places205 and iNaturalist 2018. None is that dataset."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from vicreg.transfer.datasets import VOC

IMAGES = "data/vision/torralba/deeplearning/images256"
MAIN = "VOCdevkit/VOC2007/ImageSets/Main"
JPEGS = "VOCdevkit/VOC2007/JPEGImages"


def draw(path: Path, value: int) -> None:
    """A plain picture whose color tells `value`, with a little noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(value).integers(0, 20, (12, 16, 3))
    color = np.array([value * 83 % 230, value * 47 % 230, value * 29 % 230])
    Image.fromarray((color + noise).astype(np.uint8)).save(path)


def write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def voc_flags(split: str) -> np.ndarray:
    """Flags (16 or 8, 20): image i shows the classes of i's parity; image 0 the first one as a difficult one."""
    images, classes = np.arange(16 if split == "trainval" else 8), np.arange(20)
    flags = np.where((images[:, None] + classes) % 2 == 0, 1, -1)
    flags[0, 0] = 0
    return flags


def voc07(root: Path) -> Path:
    for split, first in (("trainval", 1), ("test", 101)):
        flags = voc_flags(split)
        ids = [f"{first + i:06}" for i in range(len(flags))]
        for i, name in enumerate(ids):
            draw(root / JPEGS / f"{name}.jpg", 1 + i % 2)
        for column, name in enumerate(VOC):
            lines = [f"{it} {flag:2}" for it, flag in zip(ids, flags[:, column], strict=True)]
            write(root / MAIN / f"{name}_{split}.txt", lines)
    return root


def places205(root: Path) -> Path:
    for split, count in (("train", 4), ("val", 2)):
        lines = []
        for label, name in ((0, "a/abbey"), (3, "b/bow_window/indoor"), (204, "y/yard")):
            for i in range(count):
                draw(root / IMAGES / name / f"{split}{i}.jpg", label)
                lines.append(f"{name}/{split}{i}.jpg {label}")
        write(root / f"trainvalsplit_places205/{split}_places205.csv", lines)
    return root


def inat18(root: Path) -> Path:
    for split, count in (("train", 4), ("val", 2)):
        names = [f"train_val2018/{it}/{split}{i}.jpg" for it in ("Aves/17", "Plantae/8141") for i in range(count)]
        for i, name in enumerate(names):
            draw(root / name, i // count)
        write(root / f"{split}2018.json", [json.dumps({"images": [{"id": 1, "file_name": name} for name in names]})])
    return root
