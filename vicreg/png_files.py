"""CIFAR as one PNG file per image, in `{train,test}/<class>/*.png`."""

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from tqdm import tqdm

from vicreg.cifar_classes import CLASSES
from vicreg.genuine import NAMES
from vicreg.images import OFFICIAL_SPLITS, SIDE, Images


def read_png_folder(root: Path, dataset: str) -> Images:
    """Read every PNG file; a class's label is its place in the official list of classes.

    dataset: "cifar10" or "cifar100".

    Raises ValueError, naming the folder or file, for a class that the dataset does not have, a file that is
    not a 32x32 RGB PNG image, and a folder without any.
    """
    files = [
        (file, label, split)
        for split in OFFICIAL_SPLITS
        for folder, label in _class_folders(root / split, dataset)
        for file in sorted(folder.glob("*.png"))
    ]
    if not files:
        raise ValueError(f"{root} holds no PNG files; they belong in {root}/{{train,test}}/<class>/")
    pixels = np.empty((len(files), SIDE, SIDE, 3), np.uint8)
    for i, (file, _, _) in enumerate(tqdm(files, desc=f"{dataset} PNG files", unit="file")):
        pixels[i] = read_png(file)
    return Images(
        pixels=pixels,
        labels=np.array([label for _, label, _ in files], dtype=np.int64),
        official=np.array([split for _, _, split in files], dtype="<U5"),
        classes=CLASSES[dataset],
        name=NAMES[dataset],
        genuine=False,
    )


def read_png(file: Path) -> np.ndarray:
    """Return (32, 32, 3) uint8. What else a file holds is found from its header, before any decoding."""
    try:
        with Image.open(file, formats=("PNG",)) as image:
            if image.size != (SIDE, SIDE) or image.mode != "RGB":
                width, height = image.size
                raise ValueError(f"it is {width}x{height} {image.mode}, not {SIDE}x{SIDE} RGB")
            return np.asarray(image)
    except (UnidentifiedImageError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ValueError(f"{file} is not a PNG image of {SIDE}x{SIDE} pixels") from None
    except (OSError, SyntaxError, ValueError) as error:  # SyntaxError: Pillow's word for a broken PNG
        raise ValueError(f"{file} is not a readable CIFAR image: {error}") from None


def _class_folders(root: Path, dataset: str) -> list[tuple[Path, int]]:
    """Return the folders in `root` with their labels."""
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    for folder in folders:
        if folder.name not in CLASSES[dataset]:
            raise ValueError(f"{folder}: {folder.name!r} is not one of the classes of {NAMES[dataset]}")
    return [(folder, CLASSES[dataset].index(folder.name)) for folder in folders]
