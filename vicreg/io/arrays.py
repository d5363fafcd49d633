"""Named arrays in one .npz file: written whole or not at all, the same arrays always as the same bytes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vicreg.io import atomic
from vicreg.io.errors import reason


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays (numbers or text) by their names; the bytes depend on nothing but them."""
    with atomic.writing(path) as stream:
        np.savez(stream, allow_pickle=False, **dict(sorted(arrays.items())))


def load_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Read all arrays that `save_arrays` wrote, or only these: the others stay on the disk.

    Raises ValueError that names the file, and what to run, where it is missing, damaged or lacks one of `names`.
    """
    stage = next((f" {name}" for name in ("features", "split") if name in (path.stem, *path.parts)), "")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in (archive.files if names is None else names)}
    except Exception as error:  # files that are damaged or not there, and arrays that are not in them
        raise ValueError(f"{path} cannot be read ({reason(error)}); run `dvc repro{stage}` to make it") from None
