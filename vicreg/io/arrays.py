"""Named arrays in one .npz file: written whole or not at all, the same arrays always as the same bytes."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vicreg.io import atomic

STAGES = ("features", "split")  # which write such files, each below a folder or to a file of its name


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write arrays (numbers or text) by their names; the bytes depend on nothing but them."""
    with atomic.writing(path) as stream:
        np.savez(stream, allow_pickle=False, **dict(sorted(arrays.items())))


def load_arrays(path: Path, names: Iterable[str] | None = None) -> dict[str, np.ndarray]:
    """Read all arrays that `save_arrays` wrote, or only these: the others stay on the disk.

    Raises ValueError that names the file, and what to run, where it is missing, damaged or lacks one of `names`.
    """
    stage = next((name for name in STAGES if name in (path.stem, *path.parts)), "")
    again = f"run `dvc repro{' ' + stage if stage else ''}` to make it"
    if not path.is_file():
        raise ValueError(f"{path} does not exist; {again}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in (archive.files if names is None else names)}
    except KeyError as error:
        raise ValueError(f"{path} lacks the array {error.args[0].split(' is not')[0]}; {again} again") from None
    except Exception as error:  # on damaged files zipfile and numpy raise errors of a dozen kinds
        raise ValueError(f"{path} is damaged or no .npz file ({str(error)[:200]}); delete it and {again}") from None
