"""Hostile and damaged archives: one clear message, and nothing is written."""

import gzip
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cifar_fakes import add_member, made_up, write_archive, write_pickles
from hostile import damage, examples, little_memory, nothing_written
from hostile import no_reader_waits_for_ever as no_reader_waits_for_ever
from hypothesis import given
from hypothesis import strategies as st

from vicreg.data import cifar_files
from vicreg.data.cifar_files import read_archive, read_folder
from vicreg.data.images import Images


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
        ([(entry(FOLDER, tarfile.SYMTYPE, linkname="/etc"), b""), (entry(META), b"x")], "lacks data_batch_1"),
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


def test_an_archive_that_lacks_a_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "cifar-10-python.tar.gz"
    write_pickles(made_up(), tmp_path / "inner")
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "inner" / "batches.meta", "cifar-10-batches-py/batches.meta")
    with pytest.raises(ValueError, match="lacks data_batch_1"):
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
