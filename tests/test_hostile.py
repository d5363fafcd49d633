"""Hostile and damaged files: one clear message, and nothing that was there before is touched.

What each reader makes of honest files, and of the plainer kinds of damage, is tested beside the others of its kind.
"""

import copy
import gzip
import io
import os
import pickle
import signal
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fakes import add_member, made_up, write_archive, write_pickles, write_png
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from ruamel.yaml import YAML

from vicreg import cifar_files, images, params
from vicreg.cifar_files import read_archive, read_pickle
from vicreg.images import Images
from vicreg.params import Params, ParamsError
from vicreg.png_files import read_png
from vicreg.reporting import markdown, tables
from vicreg.sources import local

PARAMS = Path(__file__).parent.parent / "params.yaml"
VALUES = YAML(typ="safe").load(PARAMS.read_text())


def examples(count: int) -> settings:
    """The same examples on every run, and nothing kept between runs."""
    calm = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=calm)


class HangsError(BaseException):
    """No `Exception`, which a reader could take for damage."""


@pytest.fixture(autouse=True)
def no_reader_waits_for_ever() -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise HangsError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@contextmanager
def nothing_written(folder: Path) -> Iterator[None]:
    """The files in `folder` and their bytes are afterwards what they were before."""

    def content() -> dict[Path, bytes | None]:
        return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}

    before = content()
    yield
    assert content() == before


@contextmanager
def little_memory(most: int = 50_000_000) -> Iterator[None]:
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most


@st.composite
def damage(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return `whole` with bytes flipped, cut off, left out, or with others over, between or after its own."""
    place, source = (draw(st.integers(0, max(0, len(whole) - 1))) for _ in range(2))
    before, after = whole[:place], whole[place:]
    some = draw(st.just(whole[source : source + draw(st.integers(0, 60))]) | st.binary(max_size=60))
    flipped = bytes(byte ^ draw(st.integers(1, 255)) for byte in after[:1])
    changes = {
        "cut": before,
        "flip": before + flipped + after[1:],
        "leave out": before + after[len(some) :],
        "overwrite": before + some + after[len(some) :],
        "insert": before + some + after,
        "append": whole + some,
    }
    return changes[draw(st.sampled_from(sorted(changes)))]


# Parameters


def put(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    *parents, last = key.split(".")
    values = inner = copy.deepcopy(values)
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return values


NAMES = ["..", ".", "-x", "a/b", "a\\b", "a..b", "x\n", "", "a" * 101, "\u202ex", "a b", ".git", "<b>", "a."]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["studies", "encoders"])
def test_a_name_that_leads_elsewhere_is_refused(key: str, name: str) -> None:
    values = VALUES | {key: {name: next(iter(VALUES[key].values()))}, "study": name if key == "studies" else "cifar"}
    with pytest.raises(ParamsError, match=r"string should (match pattern|have at most 100 characters)") as caught:
        params.validate(values)
    assert str(caught.value).isascii() and len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["aug..", "aug/../..", "aug\n", "aug b", "aug" + "x" * 100])
def test_a_policy_whose_name_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ParamsError, match=r"string should (match pattern|have at most 100 characters)"):
        params.validate(VALUES | {name: {}})


def chain(link: str) -> str:
    """Seven lines, each of which names the one before many times."""
    return "".join(f"{n}: &{n} {link.replace('*', '*' + p)}\n" for p, n in zip("abcdefg", "bcdefgh", strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("study: !!python/object/apply:os.mkdir [victim]", "line 1: .*os.mkdir.* is a tag; only plain values"),
        ("seed: 0\nstudy: !study x", "line 2: .*is a tag"),
        ("study: !!str x", "is a tag"),
        ("a: &a [1, 1, 1]\n" + chain("[*, *, *, *, *]"), "more than 10,000 values"),
        ("a: &a {x: 1}\n" + chain("{<<: [*, *, *, *, *]}"), "more than 10,000 values"),
        ("a: &a [*a]", "more than 10,000 values"),
        ("a: &x 1\nb: &x 2", "line 2: the anchor 'x' is there twice"),
        ("[" * 5000, "line 1: it is nested more than 20 levels deep"),
        ("- " * 5000, "nested more than 20"),
        ("? " * 5000, "nested more than 20"),
        ("seed: 1\nseed: 2", "line 2: found duplicate key .seed."),
        ("seed: 2020-99-99", "line 1: '2020-99-99': month must be"),
        ("a: 1\nseed: ._", r"line 2: '\._': could not convert"),
        ("seed: " + "1" * 5000, "line 1: '1111.*limit"),
        ("seed: \0", "#x0000"),
        ("\x1b[2J", "unacceptable character #x001b"),
        ("seed: [", "line 1: "),
        ("%YAML 9.9\n---\nseed: 1", "incompatible YAML"),
        ("seed: 1\n---\nseed: 2", "another document"),
        ("#" * 100_001, "more than 100,000 bytes"),
        ("", "the file = None: must be a valid dictionary"),
        ("null", "the file = None"),
        ("- 1\n- 2", r"the file = \[1, 2\]"),
        ("hello " * 100, "the file = 'hello"),
        ("1: 2", "1"),
        ("? [a, b]\n: 2", "a"),
        ('"\\e[2J": 1', r"\\x1b\[2J: unknown key"),
        ('"\\ud800": 1', "params.yaml"),
        ("seed: .inf", "seed = inf"),
        ("seed: .nan", "seed = nan"),
        ("seed: 0x" + "f" * 9000, "seed = a number of more than 40 digits"),
        ("optimizer: {base_lr: 0x" + "f" * 9000 + "}", "optimizer.base_lr = a number of more than 40 digits"),
        ("study: '" + "x" * 5000 + "'", r"study = 'xxxxx.*\.\.\.xxx"),
        ("study: 2020-01-01", r"study = datetime.date\(2020, 1, 1\)"),
        ("policies: {}", "policies: unknown key"),
        ("published: {weights: \"a\\0b\"}", r"published.weights = 'a\\x00b'"),
        ("\n".join(f"x{n}: 1" for n in range(2000)), r"and 20\d\d more"),
    ],
)  # fmt: skip
def test_a_hostile_parameter_file_is_one_short_message(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with nothing_written(tmp_path), little_memory(), pytest.raises(ParamsError, match=f"(?s){says}") as caught:
        params.load(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 5000
    assert str(caught.value).replace("\n", "").isprintable()


def test_a_parameter_file_that_is_no_text_or_no_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"study: \xff\xfe")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, says in (("bytes", "can't decode byte 0xff"), ("folder", "not a file"), ("pipe", "not a file")):
        with pytest.raises(ParamsError, match=rf"{name}\.yaml cannot be read as parameters: .*{says}"):
            params.load(tmp_path / f"{name}.yaml")


def test_an_alias_that_does_not_multiply_is_welcome(tmp_path: Path) -> None:
    lines = PARAMS.read_text().replace("aug:  ", "aug: &aug  ") + "\naug_strong: {<<: *aug, scale_min: 0.08}\n"
    (tmp_path / "params.yaml").write_text(lines)
    p = params.load(tmp_path / "params.yaml")
    assert p.policies["aug_strong"] == p.policies["aug"].model_copy(update={"scale_min": 0.08})


@pytest.mark.parametrize("key", ["studies.embedded.width", "studies.embedded.batch_size", "schedule.switch_epoch"])
def test_a_number_beyond_what_torch_counts_is_refused(key: str) -> None:
    with pytest.raises(ParamsError, match=rf"{key} = 1000000000000: must be less than"):
        params.validate(put(VALUES, key, 10**12))


def test_an_encoder_may_be_called_like_one_of_our_own_words() -> None:
    with pytest.raises(ParamsError, match=r"encoders\.policies\.method = 1"):
        params.validate(put(VALUES, "encoders.policies", VALUES["encoders"]["random"] | {"method": 1}))


def keys(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield before + key
        if isinstance(value, dict):
            yield from keys(value, f"{before}{key}.")


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.binary(max_size=5)
)
KEYS = SCALARS | st.sampled_from(["aug", "seed"])
ANYTHING = st.recursive(
    SCALARS | st.sampled_from([10**400, -(10**400), 2**64, "..", "\ud800", "x" * 3000, "aug", ()]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def expect_params_or_error(read: Callable[[], Params]) -> None:
    try:
        assert isinstance(read(), Params)
    except ParamsError as error:
        assert "params.yaml" in str(error) and len(str(error)) < 5000
        assert str(error).replace("\n", "").isprintable()


@examples(300)
@given(st.sampled_from(sorted(keys(VALUES))), ANYTHING, st.none() | ANYTHING)
def test_arbitrary_values_are_parameters_or_one_clear_error(key: str, value: Any, new_key: Any) -> None:
    values = put(VALUES, key, value)
    if new_key.__hash__ and not isinstance(new_key, tuple):
        values[new_key] = value
    expect_params_or_error(lambda: params.validate(values))


@examples(100)
@given(ANYTHING)
def test_an_arbitrary_document_is_one_clear_error(value: Any) -> None:
    expect_params_or_error(lambda: params.validate(value))


ODD = [
    "a: ",
    "\n",
    "  ",
    "- ",
    "? ",
    "! ",
    "!!int ",
    "!<x>",
    "&a ",
    "*a",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    "|2\n",
    ">-\n",
    "'",
    '"',
]
ODD += [
    "\\x",
    "%YAML 1.1\n",
    "%TAG ! x:\n",
    "---\n",
    "...\n",
    "2001-12-14t21:59:43.10-99:99",
    "0x_",
    "._",
    "=",
    "~",
    "\t",
    "#",
]


@examples(200)
@given(st.text(max_size=50) | st.lists(st.sampled_from(ODD), max_size=12).map("".join), st.binary(max_size=3))
def test_arbitrary_text_is_parameters_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, tail: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "params.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass") + tail)
    expect_params_or_error(lambda: params.load(path))


@examples(30)
@given(damage(PARAMS.read_bytes()))
def test_a_damaged_parameter_file_is_parameters_or_one_clear_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(data)
    with nothing_written(tmp_path):
        expect_params_or_error(lambda: params.load(tmp_path / "params.yaml"))


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


# PNG files


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(side: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


PIXELS = zlib.compress(b"".join(b"\0" + bytes(range(96)) for _ in range(32)))
BOMB = zlib.compress(bytes(200_000_000), 1)


def test_an_honest_png_is_read_whatever_else_it_says_of_itself(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(32, chunk(b"tEXt", b"Title\0x"), chunk(b"IDAT", PIXELS)))
    assert read_png(tmp_path / "x.png")[5, 3].tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    "content",
    [
        png(30_000, chunk(b"IDAT", zlib.compress(bytes(90_001) * 30))),
        png(30_000, chunk(b"IDAT", BOMB)),
        png(32, chunk(b"zTXt", b"a\0\0" + BOMB), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"iCCP", b"a\0\0" + BOMB), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"tEXt", b"a\0" + b"x" * 2_000_000), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"IDAT", PIXELS))[:-12],
        png(32, chunk(b"IDAT", PIXELS)).replace(b"IDAT", b"IDAU"),
        png(32, chunk(b"IDAT", PIXELS), struct.pack(">I", 2**31 - 1) + b"tEXt"),
        png(32, chunk(b"acTL", b"\xff" * 8), chunk(b"IDAT", PIXELS)),
        png(0, chunk(b"IDAT", PIXELS)),
    ],
    ids=["30,000", "bomb", "zTXt", "iTXt", "iCCP", "long", "no end", "other", "endless", "frames", "nothing"],
)
def test_a_hostile_png_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with (
        nothing_written(tmp_path),
        little_memory(),
        pytest.raises(ValueError, match=r"x\.png is not a readable CIFAR image: .*; re"),
    ):
        read_png(tmp_path / "x.png")


def test_a_png_that_is_no_file_is_one_clear_error(tmp_path: Path) -> None:
    write_png(made_up(), tmp_path)
    place = tmp_path / "train" / "cat" / "x.png"
    for make in (
        place.mkdir,
        lambda: os.mkfifo(place),
        lambda: place.symlink_to("x.png"),
        lambda: place.symlink_to("no"),
    ):
        make()
        with pytest.raises(ValueError, match=r"cat/x\.png is not a readable CIFAR image: it is not a file"):
            local.load("cifar10", folder=tmp_path, scratch=tmp_path, fraction=1, seed=0)
        place.rmdir() if place.is_dir() else place.unlink()


def test_a_class_folder_with_a_hostile_name_is_shown_harmlessly(tmp_path: Path) -> None:
    write_png(made_up(), tmp_path)
    (tmp_path / "train" / "<script>\x1b[2J").mkdir()
    with pytest.raises(ValueError, match=r"'<script>\\x1b\[2J' is not one of the classes") as caught:
        local.load("cifar10", folder=tmp_path, scratch=tmp_path, fraction=1, seed=0)
    assert str(caught.value).isprintable()


@examples(300)
@given(st.data())
def test_a_damaged_png_gives_the_same_pixels_or_one_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    known = made_up().pixels[0] if data.draw(st.booleans()) else np.full((32, 32, 3), 7, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(known).save(stream, "PNG")
    path = tmp_path / "x.png"
    path.write_bytes(data.draw(damage(stream.getvalue())))
    with nothing_written(tmp_path):
        try:
            found = read_png(path)
        except ValueError as error:
            assert str(path) in str(error) and len(str(error)) < len(str(path)) + 400
        else:
            assert np.array_equal(found, known)


@examples(150)
@given(st.data())
def test_a_png_damaged_before_its_checksums_gives_an_image_or_one_clear_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    kind = data.draw(
        st.sampled_from([b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"acTL", b"fcTL", b"eXIf", b"pHYs", b"gAMA"])
    )
    more = chunk(kind, data.draw(st.binary(max_size=40)))
    path = tmp_path / "x.png"
    path.write_bytes(png(32, more, chunk(b"IDAT", data.draw(damage(PIXELS)))))
    try:
        assert read_png(path).shape == (32, 32, 3)
    except ValueError as error:
        assert str(path) in str(error)


def test_the_limits_leave_room_for_the_authors_files() -> None:
    assert cifar_files.LARGEST_FILE > 155_149_843  # CIFAR-100's train pickle
    assert cifar_files.MOST_STEPS > 260_000
