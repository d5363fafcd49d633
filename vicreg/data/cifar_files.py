"""CIFAR's files: the authors' archive, or its unpacked pickles, https://www.cs.toronto.edu/~kriz/cifar.html.

Archives are read in memory, nothing is extracted, and none is trusted: of links, devices, and names other than those of
the wanted files nothing is read.
"""

import gzip
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vicreg.data.download import checksum
from vicreg.data.images import Images, reason
from vicreg.data.pickles import as_text, read_pickle

MAX_FILE = 200_000_000  # bytes; CIFAR-100's train pickle, the largest, has 155 million
MAX_ARCHIVE = 400_000_000  # bytes unpacked; both have less than 190 million


class Layout(NamedTuple):
    """Names that the authors gave a dataset's archive, folder, files and keys."""

    archive: str
    md5: str
    folder: str
    train: tuple[str, ...]
    test: str
    labels: str
    meta: str
    class_names: str


BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
LAYOUTS = {
    "cifar10": Layout("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", "cifar-10-batches-py",
                      BATCHES, "test_batch", "labels", "batches.meta", "label_names"),
    "cifar100": Layout("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", "cifar-100-python",
                       ("train",), "test", "fine_labels", "meta", "fine_label_names"),
}  # fmt: skip


def read_archive(path: Path, dataset: str) -> Images:
    """Read a .tar.gz with the authors' layout. Raises ValueError, naming `path`, when it is not what it should be."""
    layout = LAYOUTS[dataset]
    wanted = {f"{layout.folder}/{name}": name for name in (*layout.train, layout.test, layout.meta)}
    if not path.is_file():  # to open a named pipe would wait for ever
        raise ValueError(f"{path} is not a file; fetch it again")
    files: dict[str, bytes] = {}
    try:
        with gzip.open(path) as stream, tarfile.open(fileobj=_Bounded(stream), mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                if member.isreg() and member.name in wanted:
                    if member.issparse() or member.size > MAX_FILE or wanted[member.name] in files:
                        raise tarfile.TarError(f"its member {member.name} is too large, sparse or there twice")
                    files[wanted[member.name]] = archive.extractfile(member).read()
            while stream.read(1 << 16):  # to the end, where gzip keeps the checksum
                pass
    except Exception as error:  # of damaged archives gzip and tarfile raise errors of a dozen kinds
        other = "" if checksum(path) == layout.md5 else f"; its MD5 is not the authors' {layout.md5}"
        raise ValueError(f"{path} is not a whole .tar.gz archive ({reason(error)}){other}; fetch it again") from None

    def read(name: str) -> bytes:
        if name not in files:
            raise ValueError(f"{path} lacks {layout.folder}/{name}; fetch it again")
        return files[name]

    return _assemble(read, layout, dataset, str(path))


class _Bounded:
    """A compressed file's content, up to the size that an honest archive has."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.left = stream, MAX_ARCHIVE

    def read(self, size: int) -> bytes:
        self.left -= size
        if self.left < 0:
            raise tarfile.TarError("it unpacks to more than any CIFAR archive")
        return self.stream.read(size)


def read_folder(path: Path, dataset: str) -> Images:
    """Read the unpacked pickles in `path`. Raises ValueError, naming the file at fault."""

    def read(name: str) -> bytes:
        file = path / name
        if not file.is_file() or file.stat().st_size > MAX_FILE:
            raise ValueError(f"{file} is missing or larger than any CIFAR file; unpack the archive again")
        return file.read_bytes()

    return _assemble(read, LAYOUTS[dataset], dataset, str(path))


def _assemble(read: Callable[[str], bytes], layout: Layout, dataset: str, where: str) -> Images:
    """Return all images of the files whose bytes `read` gives by name, in the files' order."""
    classes = read_pickle(read(layout.meta), f"{where}: {layout.meta}").get(layout.class_names)
    if not isinstance(classes, list):
        raise ValueError(f"{where}: {layout.meta} does not list the classes in `{layout.class_names}`")
    names = (*layout.train, layout.test)
    parts = [_batch(read(name), layout.labels, len(classes), f"{where}: {name}") for name in names]
    return Images(
        pixels=np.concatenate([pixels for pixels, _ in parts]),
        labels=np.concatenate([labels for _, labels in parts]),
        official=np.repeat(["train"] * len(layout.train) + ["test"], [len(labels) for _, labels in parts]),
        classes=tuple(map(as_text, classes)),
        name=dataset,
    )


def _batch(data: bytes, key: str, classes: int, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (N, 32, 32, 3) and labels (N,) of one file; its rows hold red, green, blue planes."""
    record = read_pickle(data, where)
    rows, labels = record.get("data"), record.get(key)
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3072:
        raise ValueError(f"{where}: `data` is not an (N, 3072) array of bytes")
    numbers = [n for n in labels if type(n) is int and 0 <= n < classes] if isinstance(labels, list) else []
    if not numbers == labels or len(numbers) != len(rows):
        raise ValueError(f"{where}: `{key}` is not a list of {len(rows)} labels in 0..{classes - 1}")
    return rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), np.array(numbers, dtype=np.int64)
