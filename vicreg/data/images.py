"""Labelled images as plain arrays: what they are is decided by their content, never by their order."""

import hashlib
import io
import math
import re
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from vicreg.io import atomic

SIDE = 32  # pixels
OFFICIAL_SPLITS = ("train", "test")
MEMBER = re.compile(r"\w[\w/-]*\.npy", re.ASCII)  # an array's name, as `save_arrays` writes it
ZIP_HEADER = 30  # bytes before a member's name ...
ZIP_EXTRA = 20  # ... and at most these between it and the array, for one of more than 2 GB


@dataclass(frozen=True)
class Images:
    """Labelled images of one dataset.

    pixels: (N, 32, 32, 3) uint8, in height, width, channel order.
    labels: (N,) int64, positions in `classes`; at most 256 classes.
    official: (N,) `<U5`, the official split each image came from: "train" or "test".
    classes: class names, in label order, all different; text of 1 to 100 characters on one line.
    name: what every table and figure calls the data, for example "CIFAR-10 (subset)"; such text too.
    genuine: True only for a complete CIFAR dataset, recognised by content (see `vicreg.data.cifar`).

    Raises ValueError, saying what is wrong, when the arrays do not fit this description.
    """

    pixels: np.ndarray
    labels: np.ndarray
    official: np.ndarray
    classes: tuple[str, ...]
    name: str
    genuine: bool

    def __post_init__(self) -> None:
        if not _is_title(self.name):
            raise ValueError(f"the name of images must be 1 to 100 characters on one line, this is {_brief(self.name)}")
        n = len(self.pixels)
        if self.pixels.shape != (n, SIDE, SIDE, 3) or self.pixels.dtype != np.uint8:
            raise ValueError(
                f"{self.name}: images must be (N, 32, 32, 3) uint8, these are {self.pixels.shape} {self.pixels.dtype}"
            )
        if self.labels.shape != (n,) or self.labels.dtype != np.int64:
            raise ValueError(
                f"{self.name}: labels must be ({n},) int64, these are {self.labels.shape} {self.labels.dtype}"
            )
        if (
            self.official.shape != (n,)
            or self.official.dtype != "<U5"
            or not np.isin(self.official, OFFICIAL_SPLITS).all()
        ):
            raise ValueError(f'{self.name}: `official` must name "train" or "test" for each of {n} images')
        if not 0 < len(self.classes) <= 256:
            raise ValueError(f"{self.name}: there must be 1 to 256 classes, these are {len(self.classes)}")
        for name in self.classes:
            if not _is_title(name):
                raise ValueError(f"{self.name}: {_brief(name)} is no class name: 1 to 100 characters on one line")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError(f"{self.name}: two classes have the same name")
        if n and not 0 <= self.labels.min() <= self.labels.max() < len(self.classes):
            raise ValueError(
                f"{self.name}: labels must lie in 0..{len(self.classes) - 1}, "
                f"these go from {self.labels.min()} to {self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, index: np.ndarray) -> "Images":
        """Return the images at `index` (positions or a mask); a part of genuine data is no longer genuine."""
        chosen = np.arange(len(self))[index]
        complete = len(np.unique(chosen)) == len(self) == len(chosen)
        return replace(
            self,
            pixels=self.pixels[chosen],
            labels=self.labels[chosen],
            official=self.official[chosen],
            genuine=self.genuine and complete,
        )


def digests(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (N,) `V32`: SHA-256 of each image's bytes (height, width, channel) and one label byte."""
    tails = labels.astype(np.uint8)
    if not np.array_equal(tails, labels):
        raise ValueError("labels must lie in 0..255 to be one byte each")
    rows = np.ascontiguousarray(pixels).reshape(len(pixels), -1)
    return _sha256_of_rows(np.column_stack([rows, tails]))


def pixel_digests(pixels: np.ndarray) -> np.ndarray:
    """Return (N,) `V32`: SHA-256 of each image's bytes alone, equal exactly for copies of an image."""
    return _sha256_of_rows(np.ascontiguousarray(pixels).reshape(len(pixels), -1))


def fingerprint(pixels: np.ndarray, labels: np.ndarray) -> str:
    """Return the hex SHA-256 over the concatenation of the sorted `digests`: free of the images' order."""
    return hashlib.sha256(b"".join(sorted(d.tobytes() for d in digests(pixels, labels)))).hexdigest()


def fingerprints(images: Images) -> dict[str, str]:
    """Return the `fingerprint` of each official split that has images."""
    masks = {split: images.official == split for split in OFFICIAL_SPLITS}
    return {s: fingerprint(images.pixels[m], images.labels[m]) for s, m in masks.items() if m.any()}


def in_canonical_order(images: Images) -> Images:
    """Return the images sorted by official split (train first), then digest.

    Every source and order thus ends in the very same arrays. Images that tie are equal in pixels, label and
    split, so their order among themselves changes nothing.
    """
    keys = digests(images.pixels, images.labels)
    order = sorted(range(len(images)), key=lambda i: (images.official[i] != "train", keys[i].tobytes()))
    return images.take(np.array(order, dtype=np.int64))


def save(images: Images, path: Path) -> None:
    """Write `images` to `path` (.npz): the same images give the same bytes, and never half a file."""
    arrays = {field.name: np.asarray(getattr(images, field.name)) for field in fields(images)}
    save_arrays(arrays, path)


def load(path: Path) -> Images:
    """Read what `save` wrote. A missing, damaged or different file is a ValueError that names it."""
    arrays = load_arrays(path)
    missing = {field.name for field in fields(Images)} - arrays.keys()
    if missing:
        raise ValueError(f"{path} holds no images: it lacks {', '.join(sorted(missing))}; make it again")
    try:
        for field, kind, dimensions in (("classes", "U", 1), ("name", "U", 0), ("genuine", "b", 0)):
            if (arrays[field].dtype.kind, arrays[field].ndim) != (kind, dimensions):
                raise ValueError(f"`{field}` is {arrays[field].shape} {arrays[field].dtype}")
        return Images(
            pixels=arrays["pixels"],
            labels=arrays["labels"],
            official=arrays["official"],
            classes=tuple(arrays["classes"].tolist()),
            name=str(arrays["name"]),
            genuine=bool(arrays["genuine"]),
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} holds no valid images ({error}); make it again") from None


def save_arrays(arrays: dict[str, np.ndarray], path: Path) -> None:
    """Write named arrays as an uncompressed .npz whose bytes depend on nothing but the arrays."""
    with atomic.writing(path) as stream, zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            body = io.BytesIO()
            np.lib.format.write_array(body, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), body.getbuffer())  # dated 1980, always


def load_arrays(path: Path, wanted: Callable[[str], bool] = lambda name: True) -> dict[str, np.ndarray]:
    """Read the arrays that `save_arrays` wrote, or those whose name is `wanted`: the others stay on the disk.

    A missing or damaged file is a ValueError that names it. No more memory is taken than the file has bytes, and
    nothing in it is ever executed.
    """
    if not path.exists():
        raise ValueError(f"{path} does not exist; run the stage that makes it")
    if not path.is_file():  # to open a named pipe would wait for ever
        raise ValueError(f"{path} is not a file; delete it and make it again")
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = sorted(archive.infolist(), key=lambda member: member.header_offset)
            _check_members(members, archive.start_dir)
            named = {member.filename.removesuffix(".npy"): member for member in members}
            return {name: _read_array(archive, member) for name, member in named.items() if wanted(name)}
    except Exception as error:  # on damaged files zipfile and numpy raise errors of a dozen kinds
        raise ValueError(f"{path} is damaged or no .npz file ({reason(error)}); delete it and make it again") from None


def _check_members(members: list[zipfile.ZipInfo], directory: int) -> None:
    """Refuse what `save_arrays` does not write. Its members fill the file up to the `directory`.

    So none can be hidden, be lost or share its bytes with another, and none can unpack to more than the file has.
    """
    end = 0
    for member in members:
        if not MEMBER.fullmatch(member.filename):
            raise ValueError(f"its member {_brief(member.filename)} is no array")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise ValueError(f"its member {_brief(member.filename)} is compressed, which ours never are")
        if not 0 <= member.header_offset - end <= (ZIP_EXTRA if end else 0):
            raise ValueError("its members do not follow each other")
        end = member.header_offset + ZIP_HEADER + len(member.filename) + member.file_size
    if not 0 <= directory - end <= ZIP_EXTRA:
        raise ValueError("its members do not fill it")
    if len({member.filename for member in members}) < len(members):
        raise ValueError("two members have the same name")


def _read_array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    """Return a member's array; its header must announce as many bytes as there are, before any memory is taken."""
    with archive.open(member) as stream:
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError(f"{member.filename} is of another version than ours")
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        if dtype.hasobject or not dtype.itemsize:
            raise ValueError(f"{member.filename} holds {dtype}, not numbers or text")
        if math.prod(shape) * dtype.itemsize != member.file_size - stream.tell():
            raise ValueError(f"{member.filename} announces {_brief(shape)} {dtype}, and holds another number of bytes")
    with archive.open(member) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)  # to the end, where the checksum is compared
    if dtype.kind == "U" and array.size and array.reshape(-1).view(f"{dtype.byteorder}u4").max() > sys.maxunicode:
        raise ValueError(f"{member.filename} holds text of characters that do not exist")
    return array


def reason(error: Exception) -> str:
    """Return in one short line what a library says of a file that it cannot read."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return "".join(c if c.isprintable() else "?" for c in text)


def _is_title(text: object) -> bool:
    """Whether every table can show it: text on one line, without characters that steer a terminal or turn the line."""
    return isinstance(text, str) and 1 <= len(text) <= 100 and text.isprintable() and text == text.strip()


def _brief(value: object) -> str:
    return repr(value)[:100]


def _sha256_of_rows(rows: np.ndarray) -> np.ndarray:
    """Return (N,) `V32`: SHA-256 of each row of an (N, bytes) uint8 array."""
    joined = b"".join(hashlib.sha256(row).digest() for row in rows)
    return np.frombuffer(joined, dtype="V32")
