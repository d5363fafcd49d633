"""Hostile and damaged pickles and archives: one clear message, no code runs, and nothing is written."""

import gzip
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fakes import add_member, made_up, write_archive, write_pickles
from hostile import damage, examples, little_memory, nothing_written
from hostile import no_reader_waits_for_ever as no_reader_waits_for_ever
from hypothesis import given
from hypothesis import strategies as st

from vicreg.data import cifar_files
from vicreg.data.cifar_files import read_archive, read_folder
from vicreg.data.images import Images
from vicreg.data.pickles import read_pickle

# Pickles


class Call:
    """Pickles to a call of any function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", range(2, 5))
def test_a_pickle_that_calls_a_function_is_refused(tmp_path: Path, protocol: int) -> None:
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
def test_wrong_content_is_an_error_that_names_the_file(tmp_path: Path, change: dict[bytes, Any], message: str) -> None:
    write_pickles(made_up(), tmp_path)
    record = {b"data": np.zeros((6, 3072), np.uint8), b"labels": [0] * 6} | change
    (tmp_path / "data_batch_2").write_bytes(pickle.dumps(record, protocol=4))
    with pytest.raises(ValueError, match=f"data_batch_2.*{message}"):
        read_folder(tmp_path, "cifar10")


@pytest.mark.parametrize("names", [None, b"cat", ["cat", "cat"], ["a", 3, {}], ["\x1b[2J"]])
def test_names_of_classes_that_are_none_are_refused(tmp_path: Path, names: Any) -> None:
    write_pickles(made_up(), tmp_path)
    (tmp_path / "batches.meta").write_bytes(pickle.dumps({b"label_names": names}))
    with pytest.raises(ValueError, match=r"classes|cifar10: "):
        read_folder(tmp_path, "cifar10")


def test_a_missing_pickle_is_an_error_that_names_it(tmp_path: Path) -> None:
    write_pickles(made_up(), tmp_path)
    (tmp_path / "data_batch_3").unlink()
    with pytest.raises(ValueError, match="data_batch_3 is missing"):
        read_folder(tmp_path, "cifar10")


@pytest.mark.parametrize(
    "data",
    [
        b"cos\nsystem\n(S'mkdir victim'\ntR.",
        b"\x80\x02cos\nsystem\nX\x0c\0\0\0mkdir victim\x85R.",
        b"(S'mkdir victim'\nios\nsystem\n.",
        b"(cos\nsystem\nS'mkdir victim'\no.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.",
        b"\x80\x02c__main__\nX\n)\x81}b.",
        b"Pos.system\n.",
        b"\x80\x02U\x06os.systQ.",
        b"\x80\x02\x82\x01.",
        b"cnumpy\ndtype\n(S'u1'\ntR(cos\nsystem\nS'mkdir victim'\ntb.",
        b"cnumpy.core.multiarray\n_reconstruct\n(tR}S'array'\ncos\nsystem\nsb.",
        b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x0fx.",
        b"cos\n" + b"x" * 10_000 + b"\n.",
        b"c\x1b[2J\nx\n.",
    ],
    ids=repr,
)  # fmt: skip
def test_no_step_of_a_pickle_runs_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    with nothing_written(tmp_path), pytest.raises(ValueError, match="here is not a CIFAR pickle") as caught:
        read_pickle(data, "here")
    assert str(caught.value).isprintable() and len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02}r\xff\xff\xff\x7f.",
        b"}p" + b"9" * 30 + b"\n.",
        b"\x80\x02" + b"(" * 100_000,
        b"\x80\x02\x8b\xff\xff\xff\x7f1.",
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.",
        b"\x80\x04\x8e\xff\xff\xff\xff\xff\0\0\0x.",
        b"\x80\x02T\xff\xff\xff\x7fx.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.",
    ],
    ids=lambda data: repr(data)[:40],
)  # fmt: skip
def test_a_pickle_of_a_few_bytes_takes_no_memory(data: bytes) -> None:
    with little_memory(200_000_000):
        expect_record_or_error(data)


@pytest.mark.parametrize("protocol", [3, 4])
def test_pickles_of_python_3_are_read(protocol: int) -> None:
    rows = np.arange(12, dtype=np.uint8).reshape(2, 6)
    kinds = {"data": rows, "labels": [3, 2**31 - 1], "batch_label": "text", "more": [True, None, (1, "x")]}
    record = read_pickle(pickle.dumps(kinds, protocol=protocol), "here")
    assert np.array_equal(record.pop("data"), rows)
    assert record == {key: value for key, value in kinds.items() if key != "data"}


def test_a_pickle_of_python_2_like_those_of_the_authors_is_read() -> None:
    kind = b"cnumpy\ndtype\nq\x05U\x02u1K\x00K\x01\x87Rq\x06(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b\x87R"
    array = empty + b"(K\x01K\x02K\x03\x86" + kind + b"\x89T\x06\x00\x00\x00abcdeftb"
    labels = b"U\x06labels]q\x01(K\x03M\x10'e"
    record = read_pickle(b"\x80\x02}q\x00(" + labels + b"U\x04data" + array + b"u.", "here")
    assert record["labels"] == [3, 10_000]
    assert record["data"].tolist() == [[97, 98, 99], [100, 101, 102]]


def expect_record_or_error(data: bytes) -> None:
    try:
        record = read_pickle(data, "here")
    except ValueError as error:
        assert str(error).startswith("here") and len(str(error)) < 400
        return
    assert isinstance(record, dict) and all(isinstance(key, str) for key in record)


@examples(400)
@given(st.data())
def test_a_damaged_pickle_is_a_dictionary_or_one_clear_error(data: st.DataObject) -> None:
    whole = pickle.dumps(
        {b"data": np.zeros((2, 6), np.uint8), b"labels": [3, 4]}, protocol=data.draw(st.sampled_from([2, 3, 4]))
    )
    expect_record_or_error(data.draw(damage(data.draw(damage(whole)))))


OPCODES = [
    bytes([code])
    for code in b"().012FNTU]aeghjl}qrstubdRXBCKJMpPQIVSLio\x80\x81\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95"
]
PIECES = [
    b"cnumpy\ndtype\n",
    b"cnumpy\nndarray\n",
    b"cnumpy.core.multiarray\n_reconstruct\n",
    b"U\x02u1",
    b"K\x01",
    b"q\x01",
    b"h\x01",
]


@examples(400)
@given(st.lists(st.sampled_from(OPCODES + PIECES), max_size=30).map(b"".join))
def test_arbitrary_steps_are_a_dictionary_or_one_clear_error(data: bytes) -> None:
    expect_record_or_error(b"\x80\x02" + data + b".")


# Archives


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A whole archive, small: two images in each class."""
    return write_archive(made_up(train=1, test=1), tmp_path_factory.mktemp("archive")).read_bytes()


def expect_images_or_error(path: Path, data: bytes) -> Images | None:
    path.write_bytes(data)
    try:
        return read_archive(path, "cifar10")
    except ValueError as error:
        assert str(path) in str(error) and len(str(error)) < len(str(path)) + 400
        return None


@examples(100)
@given(st.data())
def test_a_damaged_archive_gives_the_same_images_or_an_error(
    tmp_path: Path, archive: bytes, data: st.DataObject
) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    known = expect_images_or_error(path, archive)
    found = expect_images_or_error(path, data.draw(damage(archive)))
    assert known is not None
    assert found is None or found.pixels.tobytes() == known.pixels.tobytes()
    assert list(tmp_path.iterdir()) == [path]


@examples(100)
@given(st.data())
def test_an_archive_damaged_inside_gives_images_or_an_error(
    tmp_path: Path, archive: bytes, data: st.DataObject
) -> None:
    inner = gzip.decompress(archive)
    start = data.draw(st.sampled_from([n for n in range(0, len(inner), 512) if inner[n + 257 : n + 262] == b"ustar"]))
    header = data.draw(damage(inner[start : start + 512]))
    repaired = bytearray(header.ljust(512, b"\0")[:512])
    repaired[148:156] = b" " * 8
    repaired[148:156] = b"%06o\0 " % sum(repaired)  # so that the damage counts
    changed = inner[:start] + data.draw(st.sampled_from([header, bytes(repaired)])) + inner[start + 512 :]
    expect_images_or_error(tmp_path / "cifar-10-python.tar.gz", gzip.compress(changed, 1))
    assert [path.name for path in tmp_path.rglob("*")] == ["cifar-10-python.tar.gz"]


def pack(path: Path, *members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.PAX_FORMAT) -> Path:
    with tarfile.open(path, "w:gz", format=kind) as archive:
        for member, content in members:
            add_member(archive, member, content)
    return path


def entry(name: str, kind: bytes = tarfile.REGTYPE, **more: Any) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for key, value in more.items():
        setattr(member, key, value)
    return member


FOLDER = "cifar-10-batches-py"
META = f"{FOLDER}/batches.meta"


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([(entry("../" * 50 + "outside"), b"x")], "lacks"),
        ([(entry("/etc/outside"), b"x")], "lacks"),
        ([(entry(f"{FOLDER}/../../outside"), b"x")], "lacks"),
        ([(entry(META, tarfile.SYMTYPE, linkname="/etc/passwd"), b"")], "lacks"),
        ([(entry(META, tarfile.LNKTYPE, linkname="/etc/passwd"), b"")], "lacks"),
        ([(entry(META, tarfile.FIFOTYPE), b"")], "lacks"),
        ([(entry(META, tarfile.CHRTYPE), b"")], "lacks"),
        ([(entry(META), b"x")] * 2, "there twice"),
        ([(entry(FOLDER, tarfile.SYMTYPE, linkname="/etc"), b""), (entry(META), b"x")], "is not a CIFAR pickle"),
        ([(entry("x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), b"7" * 3_000_000)], "tar"),
        ([(entry(META, pax_headers={"size": "99999999999999"}), b"")], "tar"),
        ([(entry("x" * 90, pax_headers={"comment": "1" * 3_000}), b"")], "lacks"),
        ([(entry("\x1b[2J/../x"), b"")], "lacks"),
    ],
)  # fmt: skip
def test_an_archive_that_no_author_would_make_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], says: str
) -> None:
    path = pack(tmp_path / "cifar-10-python.tar.gz", *members)
    with nothing_written(tmp_path), little_memory(), pytest.raises(ValueError, match=says) as caught:
        read_archive(path, "cifar10")
    assert str(path) in str(caught.value) and str(caught.value).isprintable()


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


def test_a_damaged_archive_tells_that_its_checksum_is_another(tmp_path: Path) -> None:
    path = write_archive(made_up(), tmp_path)
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(ValueError, match="its MD5 is not the authors' c58f30108f718f92721af3b95e74349a; fetch it"):
        read_archive(path, "cifar10")


def test_a_member_of_absurd_size_is_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_archive(made_up(), tmp_path)
    monkeypatch.setattr(cifar_files, "MAX_FILE", 10_000)
    with pytest.raises(ValueError, match="is too large"):
        read_archive(path, "cifar10")
    with pytest.raises(ValueError, match="larger than any CIFAR file"):
        read_folder(tmp_path / "inner" / FOLDER, "cifar10")


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    header = entry("other", size=150_000_000).tobuf(tarfile.USTAR_FORMAT)
    member = gzip.compress(header + bytes(150_000_000 + -150_000_000 % 512), 1)
    path.write_bytes(member * 3)
    assert len(member) < 1_000_000
    with little_memory(), pytest.raises(ValueError, match="unpacks to more than any CIFAR archive"):
        read_archive(path, "cifar10")


def test_an_archive_cut_short_or_that_is_no_file_is_refused(tmp_path: Path, archive: bytes) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    inner = gzip.decompress(archive)
    path.write_bytes(gzip.compress(inner.rstrip(b"\0"), 1))
    with pytest.raises(ValueError, match=r"unexpected end of data.*fetch it again"):
        read_archive(path, "cifar10")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is not a file"):
        read_archive(path, "cifar10")


def test_the_limits_leave_room_for_the_authors_files() -> None:
    assert cifar_files.MAX_FILE > 155_149_843  # CIFAR-100's train pickle
