"""What comparisons do with data frames of numbers, with settings as texts, and with the files that they become."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from vicreg.io import atomic, yaml
from vicreg.reporting.figures import style

MISSING = "–"
# Parameters of the machine, which leave a study what it is; the last two as they were once called.
MACHINE = "device|compile|num_processes|threads|data_placement|checkpoint_every|memory|processes"


def write(stem: Path, numbers: pd.DataFrame, text: str, figure: Figure, tex: str = "") -> None:
    """Write `text` to `stem`.md, `figure` to `stem`.svg and .png, every number to `stem`.csv, and any `tex` to .tex."""
    if stem.is_dir():
        raise ValueError(f"{stem} is a folder: name the files in it, without an ending")
    style.save(figure, stem)
    contents = {".md": text, ".csv": numbers.to_csv(index=False, lineterminator="\n")} | ({".tex": tex} if tex else {})
    for ending, content in contents.items():
        with atomic.writing(Path(f"{stem}{ending}")) as file:
            file.write(content.encode())


def groups(frame: pd.DataFrame, by: str | list[str]) -> Iterator[tuple[Any, pd.DataFrame]]:
    """Yield the rows with the same value in a column, or the same values in several, by their first appearance."""
    yield from frame.groupby(by, sort=False, dropna=False)


def in_order(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Sort by columns, the values of each by their first appearance."""
    return frame.sort_values(columns, key=lambda column: pd.factorize(column)[0], ignore_index=True)


def flatten(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings as one mapping, keys joined with dots; empty ones are left out."""
    return {key: value for key, value in yaml.flat(values) if value != {}}


def differing(settings: Sequence[Mapping[str, Any]], ignored: str = "") -> dict[str, list[str]]:
    """The flat keys in which settings differ, with the values as texts; `ignored` is a regular expression for keys."""
    keys = dict.fromkeys(key for values in settings for key in values if not re.fullmatch(ignored, key))
    columns = {key: [str(values.get(key, MISSING)) for values in settings] for key in keys}
    return {key: column for key, column in columns.items() if len(set(column)) > 1}


def check_alike(settings: Sequence[Mapping[str, Any]], free: str, expectation: str) -> None:
    """Raise ValueError, the expectation and what differs, where flat keys beside the free ones (see above) differ."""
    if words := [f"{key} ({' and '.join(dict.fromkeys(v))})" for key, v in differing(settings, free).items()]:
        raise ValueError(f"{expectation}; they differ in {', '.join(words)}")


def check_distinct(frame: pd.DataFrame, columns: list[str], name: str) -> None:
    """Raise ValueError where two rows have the same values in columns: which of them would be shown?"""
    for _, same in groups(frame, columns):
        if len(same) > 1:
            one, other = same[name][:2]
            raise ValueError(f"{one!r} and {other!r} have the same {' and '.join(columns)}: name one of them")
