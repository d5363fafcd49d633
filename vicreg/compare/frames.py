"""What comparisons do with data frames of numbers, with settings as texts, and with the files that they become."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from vicreg.io import atomic
from vicreg.reporting.figures import style

MISSING = "–"
# Parameters of the machine, which leave a study what it is; the last two as they were once called.
MACHINE = "device|compile|num_processes|threads|data_placement|checkpoint_every|memory|processes"


def write(stem: Path, numbers: pd.DataFrame, text: str, figure: Figure) -> None:
    """Write `text` to `stem`.md, `figure` to `stem`.svg and .png, and every number to `stem`.csv."""
    if stem.suffix or stem.is_dir():
        raise ValueError(
            f"{stem}: name the files without an ending and no folder, such as {stem.parent / 'comparison'}"
        )
    style.save(figure, stem)
    for ending, content in ((".md", text), (".csv", numbers.to_csv(index=False, lineterminator="\n"))):
        with atomic.writing(stem.with_suffix(ending)) as file:
            file.write(content.encode())


def groups(frame: pd.DataFrame, by: str | list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield the rows with the same value in a column, or the same values in several, by their first appearance."""
    yield from frame.groupby(by, sort=False, dropna=False)


def in_order(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Sort by columns, the values of each by their first appearance."""
    return frame.sort_values(columns, key=lambda column: pd.factorize(column)[0], ignore_index=True)


def flat(values: Mapping[str, Any]) -> dict[str, str]:
    """Nested settings as texts under dotted keys."""
    (row,) = pd.json_normalize(dict(values)).to_dict("records")
    return {str(key): str(value) for key, value in row.items()}


def differing(settings: Sequence[Mapping[str, str]], ignored: str = "") -> dict[str, list[str]]:
    """The keys in which settings differ, with the value of each; `ignored` is a regular expression for other keys."""
    keys = dict.fromkeys(key for values in settings for key in values if not re.fullmatch(ignored, key))
    columns = {key: [values.get(key, MISSING) for values in settings] for key in keys}
    return {key: column for key, column in columns.items() if len(set(column)) > 1}
