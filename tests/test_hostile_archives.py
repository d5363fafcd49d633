"""Hostile and damaged pickles and archives: one clear message, and nothing that was there before is touched."""

import gzip
import os
import pickle
import tarfile
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
from vicreg.data.cifar_files import read_archive, read_pickle
from vicreg.data.images import Images
from vicreg.data.sources import local

# Pickles


def tuples_of_tuples(levels: int) -> bytes:
    """Each holds the one before twice, by way of the memo, as honest pickles do it."""
    return b")q\0" + b"".join(b"h" + bytes([n]) + b"\x86q" + bytes([n + 1]) for n in range(levels))


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
    ("data", "says"),
    [
        (b"\x80\x02}r\xff\xff\xff\x7f.", "more than 1,000,000 steps or places"),
        (b"}p" + b"9" * 30 + b"\n.", "more than 1,000,000 steps or places"),
        (b"\x80\x02" + b"]" * 1_100_000 + b".", "more than 1,000,000 steps or places"),
        (b"\x80\x02" + b"(" * 1_100_000, "more than 1,000,000 steps or places"),
        (b"\x80\x04" + b"\x8f" * 3_000_000, "EMPTY_SET"),
        (b"\x80\x02N" + b"\x85" * 200_000 + b".", "more than 10 steps of the kind TUPLE3"),
        (b"\x80\x02}" + tuples_of_tuples(100) + b"Ns.", "more than 10 steps of the kind TUPLE3"),
        (b"\x80\x02})q\0" + b"(" + b"h\0" * 200 + b"tNs.", "more than 30 steps of the kind LONG_BINGET"),
        (b"\x80\x02})" + b"2\x86" * 60 + b"Ns.", "its step DUP"),
        (b"\x80\x02\x8b\xff\xff\xff\x7f1.", "long4"),
        (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x7fx.", "expected 9223372036854775807 bytes"),
        (b"\x80\x04\x8e\xff\xff\xff\xff\xff\0\0\0x.", "expected 1099511627775 bytes"),
        (b"\x80\x02T\xff\xff\xff\x7fx.", "expected 2147483647 bytes"),
        (b"\x80\x02B\xff\xff\xff\x7fx.", "expected 2147483647 bytes"),
        (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f}.", "."),
        (b"I" + b"9" * 5000 + b"\n.", "limit"),
        (b"I" + b"9" * 4000 + b"\n.", "number that no CIFAR file needs"),
        (b"\x80\x02\x8a\x09" + b"\xff" * 8 + b"\x01.", "number that no CIFAR file needs"),
        (b"\x80\x02cnumpy\ndtype\n" + b"]" + b"]q\1" * 30 + b"a" * 30 + b"\x85R.", "of type .*not of bytes"),
        (b"\x80\x02}" + b"]" * 200_000 + b"a" * 199_999 + b"Ns.", "unhashable"),
    ],
    ids=lambda value: repr(value)[:40],
)  # fmt: skip
def test_a_pickle_that_would_take_all_memory_or_time_is_refused(data: bytes, says: str) -> None:
    with little_memory(200_000_000), pytest.raises(ValueError, match=says) as caught:
        read_pickle(data, "here")
    assert len(str(caught.value)) < 400


def test_lists_that_hold_themselves_many_times_over_are_never_walked(tmp_path: Path) -> None:
    steps = b"]q\0" + b"".join(b"](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(15))
    deep = b"\x80\x02" + b"]" * 300_000 + b"a" * 299_999 + b"."
    assert len(steps) < 200
    write_pickles(made_up(), tmp_path)
    for data in (b"\x80\x02}U\x0blabel_names(" + steps + b"lsU\x01x](" + steps + b"es.", deep):
        (tmp_path / "batches.meta").write_bytes(data)
        with pytest.raises(ValueError, match=r"batches\.meta|classes of CIFAR-10"):
            local.load("cifar10", folder=tmp_path, scratch=tmp_path, fraction=1, seed=0)


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
def test_a_damaged_archive_gives_the_same_images_or_one_clear_error(
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
def test_an_archive_damaged_before_it_was_packed_gives_images_or_one_clear_error(
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


META = "cifar-10-batches-py/batches.meta"


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ([(entry("../" * 50 + "outside"), b"x")], "leaves its folder"),
        ([(entry("/" + "a/" * 80 + "outside"), b"x")], "leaves its folder"),
        ([(entry(META), b"x")] * 2, "has two members"),
        ([(entry(f"./{META}"), b"x"), (entry(META), b"x")], "has two"),
        ([(entry("cifar-10-batches-py", tarfile.SYMTYPE, linkname="/etc"), b"")], "link or device"),
        ([(entry(META, tarfile.GNUTYPE_SPARSE), b"x")], "link or device"),
        ([(entry(META, tarfile.BLKTYPE), b"")], "link or device"),
        ([(entry(META, b"V"), b"")], "link or device"),
        ([(entry("x" * 90, pax_headers={"comment": "1" * 3_000_000}), b"")], "lacks"),
        ([(entry("x", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}), b"7" * 3_000_000)], "lacks"),
        ([(entry("x", pax_headers={"size": "99999999999999"}), b"")], "lacks"),
        ([(entry("\x1b[2J/../x"), b"")], "leaves its folder"),
    ],
)  # fmt: skip
def test_an_archive_that_no_author_would_make_is_refused(
    tmp_path: Path, members: list[tuple[tarfile.TarInfo, bytes]], says: str
) -> None:
    path = pack(tmp_path / "cifar-10-python.tar.gz", *members)
    with nothing_written(tmp_path), little_memory(), pytest.raises(ValueError, match=says) as caught:
        read_archive(path, "cifar10")
    assert str(path) in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\0" * 3 + b"\x7f" * 8, b"77777777777\0"])
def test_a_member_of_impossible_size_is_refused(tmp_path: Path, size: bytes) -> None:
    header = bytearray(entry(META).tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    path = tmp_path / "cifar-10-python.tar.gz"
    path.write_bytes(gzip.compress(bytes(header) + bytes(10_240)))
    with little_memory(), pytest.raises(ValueError, match=r"tar\.gz has a member larger than any CIFAR file"):
        read_archive(path, "cifar10")


def test_an_archive_that_unpacks_without_end_is_refused_without_holding_it(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    header = entry("other", size=150_000_000).tobuf(tarfile.USTAR_FORMAT)
    member = gzip.compress(header + bytes(150_000_000 + -150_000_000 % 512), 1)
    path.write_bytes(member * 3)
    assert len(member) < 1_000_000
    with little_memory(), pytest.raises(ValueError, match="unpacks to more than any CIFAR archive"):
        read_archive(path, "cifar10")


def test_an_archive_without_its_end_or_that_is_no_file_is_refused(tmp_path: Path, archive: bytes) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    inner = gzip.decompress(archive)
    path.write_bytes(gzip.compress(inner.rstrip(b"\0"), 1))
    with pytest.raises(ValueError, match=r"ends too early.*fetch it again"):
        read_archive(path, "cifar10")
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ValueError, match="is not a file"):
        read_archive(path, "cifar10")


def test_the_limits_leave_room_for_the_authors_files() -> None:
    assert cifar_files.LARGEST_FILE > 155_149_843  # CIFAR-100's train pickle
    assert cifar_files.MOST_STEPS > 260_000
