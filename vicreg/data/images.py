"""Images as plain arrays: what they are is decided by their content, never by their order.

Pixels may be memory-mapped and larger than memory: nothing here holds more than a few images of them at a time.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from vicreg.io import atomic
from vicreg.io.errors import reason

OFFICIAL_SPLITS = ("train", "test")
CHUNK = 1 << 24  # bytes of pixels that are copied at a time
FACTS = ("classes", "name", "genuine", "synthetic", "totals")


@dataclass(frozen=True)
class Images:
    """Images of one dataset, with their classes or without; ValueError where the arrays are not as described here."""

    pixels: np.ndarray  # (N, H, W, 3) uint8, in memory or memory-mapped
    labels: np.ndarray  # (N,) int64, positions in `classes`; all -1 where there are no classes
    official: np.ndarray  # (N,) `<U5`, the official split that each image came from: "train" or "test"
    classes: tuple[str, ...]  # names, all different, in label order; () for unlabeled images
    name: str  # what every table and figure calls the data, for example "CIFAR-10 (subset)"
    genuine: bool = False  # whether it is a complete CIFAR dataset, recognized by content (see `vicreg.data.cifar`)
    synthetic: bool = False  # whether the images are drawn
    totals: Mapping[str, int] = field(default_factory=dict)  # of the source's official splits; by default those here

    def __post_init__(self) -> None:
        for problem in self._problems():
            raise ValueError(f"{self.name!r}: {problem}")
        counts = {split: int((self.official == split).sum()) for split in OFFICIAL_SPLITS}
        object.__setattr__(self, "totals", self.totals or counts)

    def _problems(self) -> Iterator[str]:
        for title in (self.name, *self.classes):  # tables show them: nothing in them may steer a terminal
            if not (1 <= len(title) <= 100 and title.isprintable() and title == title.strip()):
                yield f"{title[:100]!r} is no name: 1 to 100 characters on one line"
        n, shape = len(self.pixels), self.pixels.shape
        if len(shape) != 4 or min(shape[1:]) < 1 or shape[3] != 3 or self.pixels.dtype != np.uint8:
            yield f"images must be (N, H, W, 3) uint8, these are {shape} {self.pixels.dtype}"
        if self.labels.shape != (n,) or self.labels.dtype != np.int64:
            yield f"labels must be ({n},) int64, these are {self.labels.shape} {self.labels.dtype}"
        if self.official.shape != (n,) or self.official.dtype != "<U5" or set(self.official) - set(OFFICIAL_SPLITS):
            yield f'`official` must name "train" or "test" for each of {n} images'
        if len(set(self.classes)) < len(self.classes):
            yield "two classes have the same name"
        low, high = (0, len(self.classes) - 1) if self.classes else (-1, -1)
        if n and not low <= self.labels.min() <= self.labels.max() <= high:
            yield f"labels must lie in {low}..{high}, these go from {self.labels.min()} to {self.labels.max()}"

    def __len__(self) -> int:
        return len(self.pixels)

    @property
    def labeled(self) -> bool:
        """Whether the images have labels."""
        return bool(self.classes)

    @cached_property
    def keys(self) -> np.ndarray:
        """(N,) `V32`, the `pixel_digests`: equal exactly for copies of an image."""
        return pixel_digests(self.pixels)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of all pixels, labels and official splits, in this order; of saved images read, not computed."""
        return _joint_sha256(self.keys, self.labels, self.official)

    def subset(self, index: np.ndarray) -> "Images":
        """The images at `index` (positions or a mask), copied to memory; a part of genuine data is not genuine."""
        chosen = np.arange(len(self))[index]
        complete = len(np.unique(chosen)) == len(self) == len(chosen)
        arrays = {name: getattr(self, name)[chosen] for name in ("pixels", "labels", "official")}
        return replace(self, **arrays, genuine=self.genuine and complete)


def digests(pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (N,) `V32`: SHA-256 of each image's bytes (height, width, channel) and its label's, big-endian."""
    # A label has one byte, or as many as it needs; none for -1, an unlabeled image.
    tails = [n.to_bytes(max(1, (n.bit_length() + 7) // 8), "big") if n >= 0 else b"" for n in labels.tolist()]
    return _sha256(np.ascontiguousarray(image).tobytes() + tail for image, tail in zip(pixels, tails, strict=True))


def pixel_digests(pixels: np.ndarray) -> np.ndarray:
    """Return (N,) `V32`: SHA-256 of each image's bytes alone."""
    return _sha256(np.ascontiguousarray(image) for image in pixels)


def seeded(keys: np.ndarray, seed: int) -> np.ndarray:
    """Return (N,) `V32`, SHA-256 of the seed and each key: to sort by them is to shuffle by content."""
    start = f"{seed}\n".encode()
    return _sha256(start + key.tobytes() for key in keys)


def fingerprint(pixels: np.ndarray, labels: np.ndarray) -> str:
    """Return the hex SHA-256 over the concatenation of the sorted `digests`: free of the images' order."""
    return _joint_sha256(np.sort(digests(pixels, labels)))


def fingerprints(images: Images) -> dict[str, str]:
    """Return the `fingerprint` of each official split that has images."""
    keys, splits = digests(images.pixels, images.labels), np.unique(images.official).tolist()
    return {split: _joint_sha256(np.sort(keys[images.official == split])) for split in splits}


def canonical_order(images: Images) -> np.ndarray:
    """Return positions (N,) that sort by official split (train first), then digest: every source ends in this order."""
    order = np.argsort(digests(images.pixels, images.labels), kind="stable")
    return order[np.argsort(images.official[order] != "train", kind="stable")]


def save(images: Images, folder: Path, order: np.ndarray | None = None) -> None:
    """Write `images`, in this `order` (N,) of positions or their own, always as the same bytes; last `about.json`."""
    order = np.arange(len(images)) if order is None else order
    (folder / "about.json").unlink(missing_ok=True)
    with atomic.writing(folder / "pixels.npy") as stream:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(order), *images.pixels.shape[1:])}
        np.lib.format.write_array_header_1_0(stream, header)
        for part in np.array_split(order, 1 + images.pixels.nbytes // CHUNK):
            stream.write(images.pixels[part].tobytes())
    for name in ("labels", "official"):
        with atomic.writing(folder / f"{name}.npy") as stream:
            np.save(stream, getattr(images, name)[order], allow_pickle=False)
    digest = _joint_sha256(images.keys[order], images.labels[order], images.official[order])
    facts = {name: getattr(images, name) for name in FACTS} | {"digest": digest}
    with atomic.writing(folder / "about.json") as stream:
        stream.write((json.dumps(facts, indent=1) + "\n").encode())


def load(folder: Path) -> Images:
    """Read what `save` wrote, its pixels memory-mapped; raises ValueError that names the folder."""
    try:
        facts: dict[str, Any] = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        digest = facts.pop("digest")
        pixels = np.asarray(np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False))
        labels, official = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("labels", "official"))
        images = Images(pixels, labels, official, tuple(facts.pop("classes")), **facts)
    except (OSError, ValueError, TypeError, KeyError, EOFError) as error:
        raise ValueError(f"{folder} holds no images ({reason(error)}); run `dvc repro download` to make it") from None
    images.__dict__["digest"] = digest
    return images


def _sha256(rows: Any) -> np.ndarray:
    return np.frombuffer(b"".join(hashlib.sha256(row).digest() for row in rows), dtype="V32")


def _joint_sha256(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest()
