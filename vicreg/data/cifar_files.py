"""The authors' files: an archive of pickles, read without trusting them.

A pickle can run any code when it is opened, and a few bytes of one can take all memory or run for ever. The unpickler
here admits what rebuilds a numpy array and nothing else, in a bounded number of steps. Archives are read member by
member in memory: nothing is ever extracted.
Layout of the files: https://www.cs.toronto.edu/~kriz/cifar.html.
"""

import gzip
import io
import pickle
import pickletools
import reprlib
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vicreg.data.cifar import NAMES
from vicreg.data.cifar_classes import CLASSES
from vicreg.data.images import Images, reason

LARGEST_FILE = 200_000_000  # bytes; CIFAR-100's train pickle, the largest, has 155 million
LARGEST_ARCHIVE = 400_000_000  # bytes unpacked; both have less than 190 million
BLOCK = 512  # bytes of a header in a tar archive, whose members fill up whole blocks
REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE)  # not a sparse file, which is many bytes made of few
EXTENDED = (b"x", b"g", b"X", b"L", b"K")  # members of tar archives with more about others: long names, exact times
Reader = Callable[[str], bytes]  # a file's name within the dataset's folder -> its bytes


@dataclass(frozen=True)
class Layout:
    """How the authors laid out a dataset: names of its archive, folder, files and keys."""

    archive: str
    md5: str
    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: str
    meta: str
    class_names: str


LAYOUTS = {
    "cifar10": Layout(
        archive="cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        folder="cifar-10-batches-py",
        train=tuple(f"data_batch_{i}" for i in range(1, 6)),
        test=("test_batch",),
        labels="labels",
        meta="batches.meta",
        class_names="label_names",
    ),
    "cifar100": Layout(
        archive="cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        folder="cifar-100-python",
        train=("train",),
        test=("test",),
        labels="fine_labels",
        meta="meta",
        class_names="fine_label_names",
    ),
}


def layout_of(dataset: str) -> Layout:
    """Return the dataset's layout; a ValueError names the choices."""
    if dataset not in LAYOUTS:
        raise ValueError(f"there is no CIFAR dataset {dataset!r}; choose from {', '.join(LAYOUTS)}")
    return LAYOUTS[dataset]


def read_archive(path: Path, dataset: str) -> Images:
    """Read the authors' .tar.gz. Raises ValueError, naming `path`, when it is not what it should be."""
    layout = layout_of(dataset)
    wanted = {*layout.train, *layout.test, layout.meta}
    if not path.is_file():  # to open a named pipe would wait for ever
        raise ValueError(f"{path} is not a file; fetch it again")
    try:
        found = _members(path, layout.folder, wanted)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a whole .tar.gz archive ({reason(error)}); fetch it again") from None

    def read(name: str) -> bytes:
        if name not in found:
            raise ValueError(f"{path} lacks {layout.folder}/{name}; fetch it again")
        return found[name]

    return _assemble(read, layout, dataset, str(path))


def read_folder(path: Path, dataset: str) -> Images:
    """Read the unpacked pickles in `path`. Raises ValueError, naming the file at fault."""

    def read(name: str) -> bytes:
        file = path / name
        if not file.is_file():
            raise ValueError(f"{file} is missing; unpack the archive again")
        if file.stat().st_size > LARGEST_FILE:
            raise ValueError(
                f"{file} has {file.stat().st_size:,} bytes, more than any CIFAR file; unpack the archive again"
            )
        return file.read_bytes()

    return _assemble(read, layout_of(dataset), dataset, str(path))


def read_pickle(data: bytes, where: str) -> dict[str, Any]:
    """Return the dictionary in a CIFAR pickle, its keys as text; `where` names the file in errors."""
    try:
        _check_steps(data)
        record = _ArraysOnly(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a hostile pickle can raise anything
        raise ValueError(f"{where} is not a CIFAR pickle ({reason(error)}); unpack or fetch it again") from None
    if not isinstance(record, dict):
        raise ValueError(f"{where} holds a {type(record).__name__}, not the dictionary of a CIFAR file")
    return {_text(key): getattr(value, "array", value) for key, value in record.items()}


# The steps by which pickles make dictionaries, lists, text, small numbers and an array, in all ways that Python had.
_STEPS = """
PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE INT BININT BININT1 BININT2 LONG1 STRING BINSTRING SHORT_BINSTRING UNICODE
BINUNICODE SHORT_BINUNICODE BINBYTES SHORT_BINBYTES EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS
EMPTY_TUPLE TUPLE TUPLE1 TUPLE2 TUPLE3 PUT BINPUT LONG_BINPUT MEMOIZE GET BINGET LONG_BINGET GLOBAL STACK_GLOBAL
REDUCE BUILD
"""
STEPS = frozenset(_STEPS.split())
TUPLES = ("EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")
RECALLS = ("GET", "BINGET", "LONG_BINGET")
PUTS = ("PUT", "BINPUT", "LONG_BINPUT")
NUMBERS = ("INT", "BININT", "BININT1", "BININT2", "LONG1")
# CIFAR-100's largest pickle has 260,000 steps, 6 tuples and no recalls. With more of both, a tuple of tuples of tuples
# could hold itself so often that its hash is never done.
MOST_STEPS, MOST_TUPLES, MOST_RECALLS = 1_000_000, 10, 30


def _check_steps(data: bytes) -> None:
    """Refuse, before a step is done, a pickle whose steps no CIFAR file needs, or so many of them."""
    counts: Counter[str] = Counter()
    for step, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        counts[opcode.name] += 1
        number = argument if isinstance(argument, int) else 0
        if opcode.name not in STEPS:
            raise pickle.UnpicklingError(f"its step {opcode.name} is none that a CIFAR file needs")
        if opcode.name in NUMBERS and not -(2**31) <= number < 2**31:
            raise pickle.UnpicklingError("it holds a number that no CIFAR file needs")
        # Memory is taken for all places up to the one that is named.
        if step > MOST_STEPS or (opcode.name in PUTS and not 0 <= number <= MOST_STEPS):
            raise pickle.UnpicklingError(f"it has more than {MOST_STEPS:,} steps or places")
    for names, most in ((TUPLES, MOST_TUPLES), (RECALLS, MOST_RECALLS)):
        if sum(counts[name] for name in names) > most:
            raise pickle.UnpicklingError(f"it has more than {most} steps of the kind {names[-1]}")


class _ArraysOnly(pickle.Unpickler):
    """Admits the three names by which numpy pickles an array, and puts harmless stand-ins in their place."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return _Bytes
        if (module, name) == ("numpy", "dtype"):
            return _ByteType
        if (module, name) == ("numpy", "ndarray"):
            return "ndarray"  # only ever an argument, so a word will do
        raise pickle.UnpicklingError(f"it asks for {reprlib.repr(f'{module}.{name}')}, which no CIFAR file needs")


class _ByteType:
    """Stands in for the type `uint8`; any other is refused."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in (b"u1", "u1"):
            raise pickle.UnpicklingError(f"its array is of type {reprlib.repr(code)}, not of bytes")

    def __setstate__(self, _: Any) -> None:
        """Ignore byte order and the like: a byte has none."""


class _Bytes:
    """Stands in for an array of bytes, until its state brings shape and content."""

    array: np.ndarray

    def __init__(self, *_: Any) -> None:
        """Ignore what numpy passes here: always an empty array."""

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, by_column, content = state
        if not isinstance(kind, _ByteType):
            raise pickle.UnpicklingError("its array is not one of bytes")
        self.array = np.frombuffer(content, np.uint8).reshape(shape, order="F" if by_column else "C")


class _Bounded:
    """A compressed file's content, up to the size that an honest archive has."""

    def __init__(self, stream: gzip.GzipFile, path: Path) -> None:
        self.stream, self.path, self.left = stream, path, LARGEST_ARCHIVE

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, all of them."""
        self._spend(size)
        data = self.stream.read(size)
        if len(data) < size:
            raise EOFError("it ends too early")
        return data

    def skip(self, size: int) -> None:
        for start in range(0, size, 1 << 16):
            self.read(min(1 << 16, size - start))

    def finish(self) -> None:
        """Read to the end, where gzip keeps the checksum."""
        while data := self.stream.read(1 << 16):
            self._spend(len(data))

    def _spend(self, size: int) -> None:
        self.left -= size
        if self.left < 0:
            raise ValueError(f"{self.path} unpacks to more than any CIFAR archive; fetch it again")


def _members(path: Path, folder: str, wanted: set[str]) -> dict[str, bytes]:
    """Return the bytes of the wanted files in the archive's folder; everything else is read past.

    Only plain headers count. Extended ones are what parsers of archives stumble over, and say nothing that is needed.
    """
    found: dict[str, bytes] = {}
    with gzip.open(path) as unpacked:
        stream = _Bounded(unpacked, path)
        while member := _next_header(stream):
            _check(member, path)
            place = PurePosixPath(member.name)
            size = 0 if member.isdir() else member.size
            if member.type in REGULAR and place.parent == PurePosixPath(folder) and place.name in wanted:
                if place.name in found:
                    raise ValueError(f"{path} has two members {member.name!r}; fetch it again")
                found[place.name] = stream.read(size)
            else:
                stream.skip(size)
            stream.skip(-size % BLOCK)
        stream.finish()
    return found


def _next_header(stream: _Bounded) -> tarfile.TarInfo | None:
    """Return the next member's description; None at the block of zeros that ends an archive."""
    try:
        return tarfile.TarInfo.frombuf(stream.read(BLOCK), "utf-8", "surrogateescape")
    except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
        return None


def _check(member: tarfile.TarInfo, path: Path) -> None:
    """Refuse what the authors' archives do not hold: paths that lead out, links, devices, absurd sizes."""
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts:
        raise ValueError(f"{path} has a member that leaves its folder: {member.name!r}; fetch it again")
    if not (member.isdir() or member.type in REGULAR + EXTENDED):
        raise ValueError(f"{path} has a link or device as a member: {member.name!r}; fetch it again")
    if not 0 <= member.size <= LARGEST_FILE:
        raise ValueError(f"{path} has a member larger than any CIFAR file: {member.name!r}; fetch it again")


def _assemble(read: Reader, layout: Layout, dataset: str, where: str) -> Images:
    """Return all images of the files that `read` gives, in the files' order."""
    _check_classes(read_pickle(read(layout.meta), f"{where}: {layout.meta}"), layout, dataset, where)
    parts = [
        (*_batch(read_pickle(read(name), f"{where}: {name}"), layout, dataset, f"{where}: {name}"), split)
        for split, names in (("train", layout.train), ("test", layout.test))
        for name in names
    ]
    return Images(
        pixels=np.concatenate([pixels for pixels, _, _ in parts]),
        labels=np.concatenate([labels for _, labels, _ in parts]),
        official=np.concatenate([np.full(len(labels), split, "<U5") for _, labels, split in parts]),
        classes=CLASSES[dataset],
        name=NAMES[dataset],
        genuine=False,
    )


def _check_classes(meta: dict[str, Any], layout: Layout, dataset: str, where: str) -> None:
    names = meta.get(layout.class_names)
    if not isinstance(names, list) or tuple(map(_text, names)) != CLASSES[dataset]:
        raise ValueError(f"{where}: {layout.meta} does not list the classes of {NAMES[dataset]}")


def _batch(record: dict[str, Any], layout: Layout, dataset: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels (N, 32, 32, 3) and labels (N,) of one file; its rows hold red, green, blue planes."""
    rows, labels = record.get("data"), record.get(layout.labels)
    if not isinstance(rows, np.ndarray) or rows.dtype != np.uint8 or rows.ndim != 2 or rows.shape[1] != 3072:
        raise ValueError(f"{where}: `data` is not an (N, 3072) array of bytes")
    if not isinstance(labels, list) or len(labels) != len(rows):
        raise ValueError(f"{where}: `{layout.labels}` is not a list of {len(rows)} labels")
    if not all(type(label) is int and 0 <= label < len(CLASSES[dataset]) for label in labels):
        raise ValueError(f"{where}: `{layout.labels}` has entries outside 0..{len(CLASSES[dataset]) - 1}")
    pixels = rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), np.array(labels, dtype=np.int64)


def _text(value: Any) -> str:
    """Return text as it is, and of all else its type: to write out lists of lists of lists could take for ever."""
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else f"<{type(value).__name__}>"
