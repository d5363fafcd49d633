"""CIFAR's files: the authors' archive, or its unpacked pickles, https://www.cs.toronto.edu/~kriz/cifar.html.

None is trusted. Archives are read in memory, nothing is extracted; of links, devices and other names nothing is read.
A pickle can call any function it names: here it can name nothing but what rebuilds a numpy array of uint8. Against a
file that is made to take much time, only the checksum of the official archives helps.
"""

import gzip
import io
import pickle
import reprlib
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pooch

from vicreg.data.images import Images
from vicreg.io.errors import reason

MAX_FILE = 200_000_000  # bytes; CIFAR-100's train pickle, the largest, has 155 million
MAX_ARCHIVE = 400_000_000  # bytes unpacked; both have less than 190 million


class Layout(NamedTuple):
    """Names that the authors gave a dataset's archive, folder, files and keys."""

    archive: str
    md5: str
    folder: str
    files: tuple[str, ...]  # of the train images, the test images and the classes
    labels: str
    class_names: str

    @property
    def meta(self) -> str:
        """The file that names the classes."""
        return self.files[-1]


BATCHES = tuple(f"data_batch_{i}" for i in range(1, 6))
LAYOUTS = {
    "cifar10": Layout("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", "cifar-10-batches-py",
                      (*BATCHES, "test_batch", "batches.meta"), "labels", "label_names"),
    "cifar100": Layout("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85", "cifar-100-python",
                       ("train", "test", "meta"), "fine_labels", "fine_label_names"),
}  # fmt: skip


def read_archive(path: Path, dataset: str) -> Images:
    """Read a .tar.gz with the authors' layout. Raises ValueError, naming `path`, when it is not what it should be."""
    layout = LAYOUTS[dataset]
    wanted = {f"{layout.folder}/{name}": name for name in layout.files}
    if not path.is_file():  # to open a named pipe would wait for ever
        raise ValueError(f"{path} is not a file; fetch it again")
    files: dict[str, bytes] = {}
    try:
        with _Bounded(path) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if member.isreg() and member.name in wanted:
                    if member.issparse() or member.size > MAX_FILE or wanted[member.name] in files:
                        raise tarfile.TarError(f"its member {member.name} is too large, sparse or there twice")
                    files[wanted[member.name]] = archive.extractfile(member).read()  # type: ignore[union-attr]
            while stream.read(1 << 16):  # to the end, where gzip keeps the checksum
                pass
    except Exception as error:  # of damaged archives gzip and tarfile raise errors of a dozen kinds
        other = "" if pooch.file_hash(str(path), "md5") == layout.md5 else f"; its MD5 is not the authors' {layout.md5}"
        raise ValueError(f"{path} is not a whole .tar.gz archive ({reason(error)}){other}; fetch it again") from None
    return _assemble(files, layout, dataset, path)


class _Bounded(gzip.GzipFile):
    """Unpacks no more than an honest archive has."""

    left = MAX_ARCHIVE

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.left -= len(data)
        if self.left < 0:
            raise tarfile.TarError("it unpacks to more than any CIFAR archive")
        return data


def read_folder(path: Path, dataset: str) -> Images:
    """Read the unpacked pickles in `path`. Raises ValueError, naming the file at fault."""
    paths = [path / name for name in LAYOUTS[dataset].files]
    files = {file.name: file.read_bytes() for file in paths if file.is_file() and file.stat().st_size <= MAX_FILE}
    return _assemble(files, LAYOUTS[dataset], dataset, path)


def _assemble(files: dict[str, bytes], layout: Layout, dataset: str, where: Path) -> Images:
    """Return all images of the authors' files, in the files' order."""
    if missing := [name for name in layout.files if name not in files]:
        raise ValueError(f"{where} lacks {missing[0]}, or it is larger than any CIFAR file; unpack or fetch it again")
    classes = read_pickle(files[layout.meta], f"{where}: {layout.meta}").get(layout.class_names)
    if not isinstance(classes, list):
        raise ValueError(f"{where}: {layout.meta} does not list the classes in `{layout.class_names}`")
    parts = [_batch(files[name], layout.labels, len(classes), f"{where}: {name}") for name in layout.files[:-1]]
    return Images(
        pixels=np.concatenate([pixels for pixels, _ in parts]),
        labels=np.concatenate([labels for _, labels in parts]),
        official=np.repeat(["train"] * (len(parts) - 1) + ["test"], [len(labels) for _, labels in parts]),
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


def read_pickle(data: bytes, where: str) -> dict[str, Any]:
    """Return the dictionary in a CIFAR pickle, its keys as text; `where` names the file in errors."""
    try:
        record = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
        return {as_text(key): value for key, value in record.items()}
    except Exception as error:  # a hostile pickle can raise anything
        raise ValueError(f"{where} is not a CIFAR pickle ({reason(error)}); unpack or fetch it again") from None


def as_text(value: Any) -> str:
    """Return text as it is, and of all else its type: to write out lists of lists of lists could take for ever."""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else f"<{type(value).__name__}>"


class _ArraysOnly(pickle._Unpickler):  # in Python: a few bytes of a pickle can make that in C take all memory
    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in ARRAY_PARTS:
            return ARRAY_PARTS[name]
        raise pickle.UnpicklingError(f"it asks for {reprlib.repr(f'{module}.{name}')}, which no CIFAR file needs")


def _byte_type(code: Any, *_: Any) -> np.dtype[Any]:
    if code not in (b"u1", "u1"):
        raise pickle.UnpicklingError(f"its array is of type {reprlib.repr(code)}, not of bytes")
    return np.dtype("u1")


# By which numpy pickles an array: it makes an empty one, whatever it is told, and checks the state that it then gets.
ARRAY_PARTS = {"_reconstruct": lambda *_: np.empty(0, np.uint8), "dtype": _byte_type, "ndarray": "ndarray"}
