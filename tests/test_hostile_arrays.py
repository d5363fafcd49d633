"""Hostile and damaged array and image files, and class names: one clear message, and nothing from before is touched."""

import os
import pickle
import struct
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fakes import made_up
from hostile import damage, examples, little_memory, nothing_written
from hostile import no_reader_waits_for_ever as no_reader_waits_for_ever
from hypothesis import given
from hypothesis import strategies as st

from vicreg.data import images
from vicreg.data.images import Images
from vicreg.reporting import markdown, tables

# Array files


ARRAYS = {
    "numbers": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "primary/text": np.array(["a", "bc"]),
    "flag": np.array(True),
    "none": np.zeros((0, 5), np.int64),
    "digests": np.frombuffer(bytes(range(64)), "V32"),
}


def bytes_of(arrays: dict[str, np.ndarray], folder: Path) -> bytes:
    images.save_arrays(arrays, folder / "made.npz")
    return (folder / "made.npz").read_bytes()


@pytest.fixture(scope="module")
def npz(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return bytes_of(ARRAYS, tmp_path_factory.mktemp("npz"))


def expect_arrays_or_error(path: Path, data: bytes) -> bool:
    """Whether the arrays came back; if so, they are all there and unchanged."""
    path.write_bytes(data)
    try:
        found = images.load_arrays(path)
    except ValueError as error:
        assert str(error).startswith(str(path)) and str(error).endswith("; delete it and make it again")
        assert len(str(error)) < len(str(path)) + 400
        return False
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()
    return True


def test_an_array_file_with_any_byte_flipped_gives_the_same_arrays_or_one_clear_error(
    tmp_path: Path, npz: bytes
) -> None:
    for place in range(len(npz)):
        for mask in (1, 0xFF):
            flipped = npz[:place] + bytes([npz[place] ^ mask]) + npz[place + 1 :]
            expect_arrays_or_error(tmp_path / "images.npz", flipped)
    assert [path.name for path in tmp_path.iterdir()] == ["images.npz"]


def test_an_array_file_cut_short_anywhere_is_one_clear_error(tmp_path: Path, npz: bytes) -> None:
    assert expect_arrays_or_error(tmp_path / "images.npz", npz)
    assert not any(expect_arrays_or_error(tmp_path / "images.npz", npz[:size]) for size in range(len(npz)))


@examples(400)
@given(st.data())
def test_a_damaged_array_file_gives_the_same_arrays_or_one_clear_error(
    tmp_path: Path, npz: bytes, data: st.DataObject
) -> None:
    with nothing_written(tmp_path / "beside"):
        expect_arrays_or_error(tmp_path / "images.npz", data.draw(damage(data.draw(damage(npz)))))


@examples(150)
@given(st.data())
def test_a_damaged_image_file_gives_the_same_images_or_one_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    known = made_up().take(np.arange(1))
    path = tmp_path / "images.npz"
    images.save(known, path)
    whole = path.read_bytes()
    header = data.draw(st.booleans())  # pixels are most of the file, and damage to them is soon known
    path.write_bytes(data.draw(damage(whole)) if header else whole[:3400] + data.draw(damage(whole[3400:])))
    try:
        found = images.load(path)
    except ValueError as error:
        assert str(error).startswith(str(path)) and str(error).endswith("make it again")
        return
    assert found.pixels.tobytes() == known.pixels.tobytes() and found.labels.tolist() == known.labels.tolist()
    assert (found.classes, found.name, found.genuine) == (known.classes, known.name, known.genuine)


def npy(header: str, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    head = header.encode("latin-1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(head)) + head + content


def described(shape: str, kind: str = "|u1") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"


@pytest.mark.parametrize(
    ("member", "says"),
    [
        (npy(described("(10000000000000,)")), "announces"),
        (npy(described("(3,)"), b"12"), "announces"),
        (npy(described("(3,)"), b"1234"), "announces"),
        (npy(described("(-1, -3)"), b"123"), "npz"),
        (npy(described("(4000000000, 4000000000, 0)")), "npz"),
        (npy(described("(1000000000000,)", "<U0")), "not numbers or text"),
        (npy(described("(1,)", "|O"), pickle.dumps([1])), "holds object"),
        (npy(described("(1,)", "|O"), b"cos\nsystem\n(S'mkdir victim'\ntR."), "holds object"),
        (npy("(" * 9000), "npz"),
        (npy("-" * 9000 + "1"), "npz"),
        (npy("{" + "'a': '\\d', " * 500 + "}"), "npz"),
        (npy("'" * 60_000), "npz"),
        (npy("\xff\xfe\x80"), "npz"),
        (npy(described("(1,)"), b"1", version=b"\3\0"), "another version"),
        (b"", "npz"),
        (pickle.dumps([1]), "npz"),
    ],
)
def test_an_array_that_is_not_what_its_header_says_is_refused(tmp_path: Path, member: bytes, says: str) -> None:
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.npy"), member)
    with (
        nothing_written(tmp_path),
        little_memory(),
        pytest.raises(ValueError, match=rf"x\.npz.*{says}.*again"),
    ):
        images.load_arrays(path)


def write_zip(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)


def test_a_compressed_array_file_is_refused_before_it_unpacks(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "x.npz", a=np.zeros(300_000_000, np.uint8))
    assert (tmp_path / "x.npz").stat().st_size < 1_000_000
    with little_memory(), pytest.raises(ValueError, match=r"x\.npz.*'a\.npy' is compressed, which ours never are"):
        images.load_arrays(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["../a.npy", "/a.npy", "a.txt", "a", ".npy", "a\\..\\b.npy", "C:a.npy", "<b>.npy"])
def test_an_array_file_with_a_member_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    write_zip(tmp_path / "x.npz", **{name: npy(described("(1,)"), b"1")})
    with nothing_written(tmp_path), pytest.raises(ValueError, match=r"x\.npz.* is no array"):
        images.load_arrays(tmp_path / "x.npz")


def test_an_array_file_with_two_members_of_a_name_or_bytes_between_them_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_zip(path, **{"a.npy": npy(described("(1,)"), b"1"), "b.npy": npy(described("(1,)"), b"2")})
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"b.npy", b"a.npy"))
    with pytest.raises(ValueError, match="two members have the same name"):
        images.load_arrays(path)
    path.write_bytes(b"#!/bin/sh\n" + whole)
    with pytest.raises(ValueError, match="do not follow each other"):
        images.load_arrays(path)
    directory = whole.index(b"PK\1\2")
    second = whole.index(b"PK\1\2", directory + 1)
    end = bytearray(whole[whole.index(b"PK\5\6") :])
    end[12:16] = struct.pack("<I", second - directory)  # a directory that lists the first member alone
    path.write_bytes(whole[:second] + end)
    with pytest.raises(ValueError, match="do not fill it"):
        images.load_arrays(path)


def test_an_encrypted_array_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    write_zip(path, **{"a.npy": npy(described("(1,)"), b"1")})
    whole = bytearray(path.read_bytes())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        whole[whole.index(header) + flags] |= 1
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="encrypted"):
        images.load_arrays(path)


def test_an_array_file_that_is_no_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    for name in ("folder.npz", "pipe.npz"):
        with pytest.raises(ValueError, match=f"{name} is not a file; delete it"):
            images.load_arrays(tmp_path / name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": np.array("cat")}, r"`classes` is \(\)"),
        ({"classes": np.array([["cat"]])}, "`classes`"),
        ({"classes": np.arange(10)}, r"`classes` is \(10,\) int64"),
        ({"name": np.arange(3)}, "`name`"),
        ({"genuine": np.array(["False"])}, "`genuine`"),
        ({"genuine": np.array(3)}, "`genuine`"),
        ({"name": np.frombuffer(b"\xff" * 4, "<U1")[0:1].reshape(())}, "characters that do not exist"),
    ],
)
def test_an_image_file_whose_arrays_are_of_other_kinds_is_refused(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    path = tmp_path / "images.npz"
    images.save(made_up(), path)
    images.save_arrays(images.load_arrays(path) | change, path)
    with pytest.raises(ValueError, match=rf"images\.npz (holds|is damaged).*{message}.*make it again"):
        images.load(path)


# Class names


def with_class(name: Any) -> Images:
    known = made_up()
    return replace(known, classes=(name, *known.classes[1:]))


@pytest.mark.parametrize(
    "name", ["", " ", "cat ", "a\nb", "a\tb", "a\0b", "\x1b[2J", "\u202etac", "\ud800", "x" * 101, 3]
)
def test_a_class_name_that_no_table_can_show_is_refused(name: Any) -> None:
    with pytest.raises(ValueError, match="is no class name: 1 to 100 characters on one line") as caught:
        with_class(name)
    assert str(caught.value).isascii() and len(str(caught.value)) < 300


def test_two_classes_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two classes have the same name"):
        with_class("truck")


def test_a_data_name_that_no_table_can_show_is_refused() -> None:
    with pytest.raises(ValueError, match="name of images"):
        replace(made_up(), name="CIFAR\n# 100 %")


HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "a|b",
    "[x](http://x)",
    "`x`",
    "&lt;b&gt;",
    "$x$",
    "a\\|b",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_class_name_with_markup_is_shown_as_it_is_written(name: str) -> None:
    assert with_class(name).classes[0] == name
    terms = {"loss": 0.0, "invariance": 1.0, "variance": 1.0, "covariance": 1.0}
    entry = {"views": terms, "anchor": name, "against": [{"class": name, **terms}, {"class": "cat", **terms}]}
    head, line, row = tables.against({"encoders": {"cifar_aug": entry}}, ["cifar_aug"]).splitlines()
    plain = head
    for mark in "\\`*_[]<>#|~&$":  # with each escaped mark taken out, none is left that means something
        plain = plain.replace(f"\\{mark}", "")
    assert not set(plain.strip("| ").replace(" | ", "")) & set("`*_[]<>#~&$\\")
    assert plain.count("|") == line.count("|") == row.count("|") == 4


def test_a_name_with_a_backtick_does_not_end_its_code() -> None:
    assert markdown.code("cifar_aug") == "`cifar_aug`"
    assert markdown.code("`<script>") == r"\`\<script\>"
