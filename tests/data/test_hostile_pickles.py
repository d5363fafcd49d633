"""Hostile and damaged pickles: one clear message, no code runs, and nothing is written."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fakes import made_up, write_pickles
from hostile import damage, examples, little_memory, nothing_written
from hostile import no_reader_waits_for_ever as no_reader_waits_for_ever
from hypothesis import given
from hypothesis import strategies as st

from vicreg.data.cifar_files import read_folder, read_pickle


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
    with pytest.raises(ValueError, match="lacks data_batch_3"):
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
