"""Made-up images in the layouts that CIFAR comes in, small enough for a test."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from vicreg.data.cifar_files import LAYOUTS
from vicreg.data.images import Images

CIFAR = {"train": 50_000, "test": 10_000}  # images in all
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel
can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion
lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea
seal shark shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank
telephone television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
CLASSES = {"cifar10": tuple(CIFAR10.split()), "cifar100": tuple(CIFAR100.split())}


def made_up(dataset: str = "cifar10", train: int = 3, test: int = 1, seed: int = 0) -> Images:
    """Return random images, `train` and `test` of them for each class, in no particular order."""
    chance = np.random.default_rng(seed)
    classes = len(CLASSES[dataset])
    count = (train + test) * classes
    official = np.array(["train"] * train * classes + ["test"] * test * classes, dtype="<U5")
    return Images(
        pixels=chance.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8),
        labels=np.arange(count, dtype=np.int64) % classes,
        official=official,
        classes=CLASSES[dataset],
        name="made up",
    ).subset(chance.permutation(count))


def sized(train: int, test: int, classes: int = 10, totals: dict[str, int] | None = None) -> Images:
    """Return distinct images, `train` and `test` of them per class, that differ in their first four bytes.

    totals: how many there would be in all; as many as CIFAR has where it is left out.
    """
    count = (train + test) * classes
    pixels = np.zeros((count, 32, 32, 3), np.uint8)
    pixels.reshape(count, -1)[:, :4] = np.arange(count, dtype="<u4")[:, None].view(np.uint8)
    return Images(
        pixels=pixels,
        labels=np.arange(count, dtype=np.int64) % classes,
        official=np.array(["train"] * train * classes + ["test"] * test * classes, dtype="<U5"),
        classes=tuple(f"class {label}" for label in range(classes)),
        name="Made up",
        totals=CIFAR if totals is None else totals,
    )


def fractions(pretrain: float, probe: float) -> dict[str, float]:
    return {"pretrain": pretrain, "probe": probe}


def write_pickles(images: Images, folder: Path, dataset: str = "cifar10") -> None:
    """Write the authors' pickles: rows of red, green and blue planes, keys as Python 2 wrote them."""
    layout = LAYOUTS[dataset]
    folder.mkdir(parents=True, exist_ok=True)
    for split, names in (("train", layout.files[:-2]), ("test", layout.files[-2:-1])):
        chosen = np.flatnonzero(images.official == split)
        for name, part in zip(names, np.array_split(chosen, len(names)), strict=True):
            record = {
                b"data": images.pixels[part].transpose(0, 3, 1, 2).reshape(len(part), 3072),
                layout.labels.encode(): images.labels[part].tolist(),
            }
            (folder / name).write_bytes(pickle.dumps(record, protocol=4))
    meta = {layout.class_names.encode(): [name.encode() for name in images.classes]}
    (folder / layout.meta).write_bytes(pickle.dumps(meta, protocol=4))


def write_archive(images: Images, folder: Path, dataset: str = "cifar10") -> Path:
    """Write the authors' archive into `folder` and return its path."""
    layout = LAYOUTS[dataset]
    write_pickles(images, folder / "inner" / layout.folder, dataset)
    path = folder / layout.archive
    with tarfile.open(path, "w:gz") as archive:
        archive.add(folder / "inner" / layout.folder, layout.folder)
    return path


def write_png(images: Images, folder: Path) -> None:
    """Write one PNG file per image into {train,test}/<class>/."""
    for i, (pixels, label, split) in enumerate(zip(images.pixels, images.labels, images.official, strict=True)):
        path = folder / str(split) / images.classes[label] / f"{i:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)


def add_member(archive: tarfile.TarFile, member: tarfile.TarInfo, content: bytes = b"") -> None:
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
