"""Files of arrays: they come back as they were, always as the same bytes, and damage is one clear error."""

from pathlib import Path

import numpy as np
import pytest
from conftest import digest

from vicreg.io.arrays import load_arrays, save_arrays

ARRAYS = {"primary/a": np.arange(5000), "b": np.array("text"), "c": np.array(["x", "yz"])}


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    save_arrays(tmp_path / "deep" / "x.npz", **ARRAYS)
    again = load_arrays(tmp_path / "deep" / "x.npz")
    assert again.keys() == ARRAYS.keys()
    assert all(np.array_equal(again[name], array) for name, array in ARRAYS.items())
    assert {name: array.dtype for name, array in again.items()} == {name: a.dtype for name, a in ARRAYS.items()}
    assert load_arrays(tmp_path / "deep" / "x.npz", ["b"]).keys() == {"b"}


def test_the_same_arrays_give_the_same_bytes(tmp_path: Path) -> None:
    save_arrays(tmp_path / "x.npz", **ARRAYS)
    save_arrays(tmp_path / "y.npz", **dict(reversed(ARRAYS.items())))
    assert digest(tmp_path / "x.npz") == digest(tmp_path / "y.npz")


def test_a_failed_save_keeps_the_old_file(tmp_path: Path) -> None:
    save_arrays(tmp_path / "x.npz", **ARRAYS)
    before = digest(tmp_path / "x.npz")
    with pytest.raises(ValueError, match="allow_pickle"):
        save_arrays(tmp_path / "x.npz", objects=np.array([object()]))
    assert [digest(path) for path in tmp_path.iterdir()] == [before]


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "flipped", "text", "other"])
def test_a_damaged_file_names_itself_and_what_to_run(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "features" / "x.npz"
    save_arrays(path, **ARRAYS)
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        save_arrays(path, c=np.arange(3))
    else:
        flipped = whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]
        path.write_bytes({"empty": b"", "cut": whole[:5000], "flipped": flipped, "text": b"hello"}[damage])
    with pytest.raises(ValueError, match=r"x\.npz .*`dvc repro features`"):
        load_arrays(path, ["primary/a", "b"])


def test_a_file_that_needs_pickle_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "split.npz", x=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match=r"split\.npz cannot be read .*`dvc repro split`"):
        load_arrays(tmp_path / "split.npz")
