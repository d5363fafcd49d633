"""CIFAR as one PNG file per image, in `{train,test}/<class>/*.png`."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from vicreg.data.cifar import NAMES
from vicreg.data.cifar_classes import CLASSES
from vicreg.data.images import OFFICIAL_SPLITS, SIDE, Images, reason

LARGEST_FILE = 1_000_000  # bytes; 32x32 pixels take at most 3,200, the rest is what cameras and editors add
SIGNATURE = b"\x89PNG\r\n\x1a\n"


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
        with Image.open(io.BytesIO(_checked(file)), formats=("PNG",)) as image:
            if image.size != (SIDE, SIDE) or image.mode != "RGB":
                width, height = image.size
                raise ValueError(f"it is {width}x{height} {image.mode}, not {SIDE}x{SIDE} RGB")
            return np.asarray(image)
    except Exception as error:  # Pillow raises errors, and warnings, of a dozen kinds
        raise ValueError(f"{file} is not a readable CIFAR image: {reason(error)}; replace or remove it") from None


def _checked(file: Path) -> bytes:
    """Return the file's bytes, whose checksums are right: Pillow does not look at those of the pixels."""
    if not file.is_file():  # to open a named pipe would wait for ever
        raise ValueError("it is not a file")
    with file.open("rb") as stream:
        data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
    if not data.startswith(SIGNATURE):
        raise ValueError("it is not a PNG file")
    place = len(SIGNATURE)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        place += 12 + length  # the length, the kind, the content and its checksum
        if data[place - 4 : place] != zlib.crc32(data[place - 8 - length : place - 4]).to_bytes(4, "big"):
            raise ValueError("it is damaged: its checksums do not match")
        if kind == b"IEND":
            return data
    raise ValueError("it is cut short")


def _class_folders(root: Path, dataset: str) -> list[tuple[Path, int]]:
    """Return the folders in `root` with their labels."""
    folders = sorted(path for path in root.iterdir() if path.is_dir())
    for folder in folders:
        if folder.name not in CLASSES[dataset]:
            raise ValueError(
                f"{root}: {folder.name!r} is not one of the classes of {NAMES[dataset]}; move that folder elsewhere"
            )
    return [(folder, CLASSES[dataset].index(folder.name)) for folder in folders]
