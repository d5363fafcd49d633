"""Sources of CIFAR: every layout gives the same images, and hostile files do no harm."""

import io
import os
import pickle
import struct
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fakes import add_member, made_up, write_archive, write_pickles, write_png
from PIL import Image

from vicreg.data import cifar_files
from vicreg.data.cifar import recognise
from vicreg.data.cifar_files import read_archive, read_pickle
from vicreg.data.images import Images, fingerprints, in_canonical_order
from vicreg.data.png_files import read_png
from vicreg.data.sources import local, official, synthetic


def read(folder: Path, dataset: str = "cifar10") -> Images:
    return local.load(dataset, folder=folder, scratch=folder, fraction=1, seed=0)


def layouts(images: Images, root: Path, dataset: str) -> dict[str, Path]:
    """Write every layout in a folder of its own."""
    names = cifar_files.LAYOUTS[dataset]
    for place in ("archive", "deep archive"):
        (root / place / dataset).mkdir(parents=True)
    write_archive(images, root / "archive", dataset)
    write_archive(images, root / "deep archive" / dataset, dataset)
    write_pickles(images, root / "pickles", dataset)
    write_pickles(images, root / "pickles in folder" / names.folder, dataset)
    write_pickles(images, root / "deep pickles" / dataset / names.folder, dataset)
    write_png(images, root / "png")
    write_png(images, root / "deep png" / dataset)
    return {path.name: path for path in root.iterdir()}


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_every_local_layout_gives_the_same_images(tmp_path: Path, dataset: str) -> None:
    images = in_canonical_order(made_up(dataset, train=2, test=1))
    found = layouts(images, tmp_path, dataset)
    assert len(found) == 7
    for name, folder in found.items():
        again = in_canonical_order(read(folder, dataset))
        assert np.array_equal(again.pixels, images.pixels), name
        assert np.array_equal(again.labels, images.labels), name
        assert np.array_equal(again.official, images.official), name
        assert again.classes == images.classes, name


def test_one_folder_serves_both_datasets(tmp_path: Path) -> None:
    ten, hundred = made_up("cifar10"), made_up("cifar100", train=1)
    write_png(ten, tmp_path)
    write_png(hundred, tmp_path / "cifar100")
    assert fingerprints(read(tmp_path, "cifar10")) == fingerprints(ten)
    assert fingerprints(read(tmp_path, "cifar100")) == fingerprints(hundred)


def test_a_png_folder_without_some_classes_keeps_the_official_labels(tmp_path: Path) -> None:
    images = made_up()
    some = images.take(np.isin(images.labels, [3, 9]))
    write_png(some, tmp_path)
    assert fingerprints(read(tmp_path)) == fingerprints(some)


def test_an_empty_folder_is_an_error_that_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz.*png"):
        read(tmp_path)
    with pytest.raises(ValueError, match="folder"):
        local.load("cifar10", folder=None, scratch=tmp_path, fraction=1, seed=0)


@pytest.mark.parametrize("source", [local, official])
def test_an_unknown_dataset_is_an_error_that_lists_the_choices(tmp_path: Path, source: Any) -> None:
    with pytest.raises(ValueError, match="cifar10, cifar100"):
        source.load("shapes10", folder=tmp_path, scratch=tmp_path, fraction=1, seed=0)


def test_images_that_are_not_genuine_are_refused_with_counts_and_fingerprints() -> None:
    images = made_up()
    with pytest.raises(ValueError) as caught:
        recognise(images, "cifar10")
    text = str(caught.value)
    assert "30 of 50,000" in text and "10 of 10,000" in text and "subset: true" in text
    assert fingerprints(images)["train"] in text and "6a3b2c04" in text


def test_a_deliberate_subset_says_so_in_its_name() -> None:
    images = recognise(made_up("cifar100", 1, 1), "cifar100", subset=True)
    assert images.name == "CIFAR-100 (subset)"
    assert not images.genuine


def test_drawn_images_are_not_held_against_cifar() -> None:
    drawn = synthetic.load("shapes10", folder=None, scratch=Path(), fraction=0.001, seed=0)
    assert recognise(drawn, "shapes10") is drawn


# Pickles


class Call:
    """Pickles to a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(2, 5))
def test_a_pickle_that_calls_a_function_is_refused_and_nothing_runs(tmp_path: Path, protocol: int) -> None:
    victim = tmp_path / "victim"
    data = pickle.dumps({"data": Call(os.mkdir, str(victim))}, protocol=protocol)
    with pytest.raises(ValueError, match=r"data_batch_1.*mkdir"):
        read_pickle(data, "data_batch_1")
    assert not victim.exists()


@pytest.mark.parametrize(
    "hostile",
    [
        Call(np.ndarray, (10**14,)),
        Call(np.dtype, "O"),
        Call(getattr, b"", "join"),
        np.array([1.0, 2.0]),
        np.array([{"a": 1}], dtype=object),
    ],
)
def test_a_pickle_with_more_than_an_array_of_bytes_is_refused(hostile: Any) -> None:
    with pytest.raises(ValueError, match="here"):
        read_pickle(pickle.dumps({b"data": hostile}, protocol=4), "here")


@pytest.mark.parametrize("data", [b"", b"hello", pickle.dumps({b"data": b"x"})[:-3], b"\x80\x04" + b"(" * 100])
def test_a_damaged_pickle_is_an_error_that_names_it(data: bytes) -> None:
    with pytest.raises(ValueError, match="here"):
        read_pickle(data, "here")


def test_arrays_in_either_memory_order_are_read_right() -> None:
    rows = np.arange(24, dtype=np.uint8).reshape(4, 6)
    for array in (rows, np.asfortranarray(rows)):
        record = read_pickle(pickle.dumps({b"data": array}, protocol=4), "here")
        assert np.array_equal(record["data"], rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"data": np.zeros((6, 3071), np.uint8)}, "3072"),
        ({b"data": b"text"}, "3072"),
        ({b"labels": [0] * 5}, "6 labels"),
        ({b"labels": [10] * 6}, r"0\.\.9"),
        ({b"labels": [-1] * 6}, r"0\.\.9"),
        ({b"labels": ["cat"] * 6}, r"0\.\.9"),
        ({b"labels": None}, "labels"),
    ],
)
def test_a_pickle_with_wrong_content_is_an_error_that_names_the_file(
    tmp_path: Path, change: dict[bytes, Any], message: str
) -> None:
    write_pickles(made_up(), tmp_path)
    record = {b"data": np.zeros((6, 3072), np.uint8), b"labels": [0] * 6} | change
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(record, protocol=4))
    with pytest.raises(ValueError, match=f"data_batch_2.*{message}"):
        read(tmp_path)


def test_class_names_in_another_order_are_refused(tmp_path: Path) -> None:
    write_pickles(made_up(), tmp_path)
    names = [name.encode() for name in reversed(made_up().classes)]
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}))
    with pytest.raises(ValueError, match="classes of CIFAR-10"):
        read(tmp_path)


def test_a_missing_pickle_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_pickles(made_up(), tmp_path)
    (tmp_path / "data_batch_3").unlink()
    with pytest.raises(ValueError, match="data_batch_3 is missing"):
        read(tmp_path)


# Archives


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return entry


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (member("../outside"), "leaves its folder"),
        (member("/etc/outside"), "leaves its folder"),
        (member("cifar-10-batches-py/../../outside"), "leaves its folder"),
        (member("cifar-10-batches-py/test_batch", tarfile.SYMTYPE, "/etc/passwd"), "link or device"),
        (member("cifar-10-batches-py/test_batch", tarfile.LNKTYPE, "/etc/passwd"), "link or device"),
        (member("cifar-10-batches-py/test_batch", tarfile.CHRTYPE), "link or device"),
        (member("cifar-10-batches-py/test_batch", tarfile.FIFOTYPE), "link or device"),
    ],
)
def test_a_hostile_archive_is_refused_and_writes_nothing(tmp_path: Path, entry: tarfile.TarInfo, message: str) -> None:
    path = tmp_path / "inside" / "cifar-10-python.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        add_member(archive, entry)
    with pytest.raises(ValueError, match=message):
        read_archive(path, "cifar10")
    assert list(tmp_path.rglob("*")) == [path.parent, path]


def test_an_archive_that_unpacks_to_absurd_size_is_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_archive(made_up(), tmp_path)
    monkeypatch.setattr(cifar_files, "LARGEST_ARCHIVE", 50_000)
    with pytest.raises(ValueError, match="more than any CIFAR archive"):
        read_archive(path, "cifar10")
    monkeypatch.setattr(cifar_files, "LARGEST_FILE", 10_000)
    with pytest.raises(ValueError, match="larger than any CIFAR file"):
        read_archive(path, "cifar10")
    with pytest.raises(ValueError, match="more than any CIFAR file"):
        read(tmp_path / "inner")


@pytest.mark.parametrize("damage", ["cut", "flipped", "text", "empty"])
def test_a_damaged_archive_is_an_error_that_names_it(tmp_path: Path, damage: str) -> None:
    path = write_archive(made_up(), tmp_path)
    whole = path.read_bytes()
    flipped = whole[:9000] + bytes([whole[9000] ^ 255]) + whole[9001:]
    path.write_bytes({"cut": whole[:9000], "flipped": flipped, "text": b"hello", "empty": b""}[damage])
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz"):
        read_archive(path, "cifar10")


def test_an_archive_that_lacks_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    write_pickles(made_up(), tmp_path / "inner")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "inner" / "batches.meta", "cifar-10-batches-py/batches.meta")
    with pytest.raises(ValueError, match="lacks cifar-10-batches-py/data_batch_1"):
        read_archive(path, "cifar10")


# PNG files


def png(width: int, height: int, content: bytes = b"") -> bytes:
    """Return a PNG file whose header announces RGB pixels of this size, whatever follows."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def as_png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        png(50_000, 50_000),
        png(14_000, 8_000),
        png(32, 32),
        png(32, 32, zlib.compress(b"\0" * 50)),
        as_png(np.zeros((32, 33, 3), np.uint8)),
        as_png(np.zeros((32, 32), np.uint8)),
        as_png(np.zeros((32, 32, 4), np.uint8)),
        as_png(np.zeros((32, 32, 3), np.uint8))[:60],
        b"GIF89a",
        b"",
    ],
    ids=["bomb", "large", "no data", "little data", "wide", "grey", "alpha", "cut", "gif", "empty"],
)
def test_a_file_that_is_not_a_cifar_png_is_an_error_that_names_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "bad.png"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.png"):
        read_png(file)


def test_a_folder_that_is_no_class_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_png(made_up(), tmp_path)
    (tmp_path / "train" / "unicorn").mkdir()
    with pytest.raises(ValueError, match="unicorn"):
        read(tmp_path)


def test_png_folders_without_images_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "test").mkdir()
    with pytest.raises(ValueError, match="no PNG files"):
        read(tmp_path)
