"""Markdown: tables whose cells cannot break them, and numbers as people read them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from tabulate import tabulate


@dataclass(frozen=True)
class Table:
    """A table, built once and rendered twice: as markdown here, and as HTML by the templates' macro `table`.

    Columns of text come first, then columns of numbers.

    texts: headings of the first. numbers: headings of the others, each with the function that writes its values.
    rows: markdown for columns of text; for the others a value, a tuple of values, or text where there is none. A short
    row ends in empty cells. header: the column that names a row.
    bars: a share in [0, 1] for each row, drawn behind its last cell on the page.
    """

    texts: Sequence[str]
    numbers: Mapping[str, Callable[[Any], str]]
    rows: Sequence[Sequence[Any]]
    header: int = 0
    bars: Sequence[float] = ()

    @property
    def columns(self) -> list[tuple[str, bool]]:
        """The heading of each column, and whether it holds numbers."""
        return [*((text, False) for text in self.texts), *((text, True) for text in self.numbers)]

    @property
    def cells(self) -> list[list[tuple[str, float | None]]]:
        """The text of each cell, and the number by which it sorts: of several the first."""
        formats = [str] * len(self.texts) + list(self.numbers.values())
        rows = [[*row, *[""] * (len(formats) - len(row))] for row in self.rows]
        return [[_sortable(value, text) for value, text in zip(row, formats, strict=True)] for row in rows]

    def to_markdown(self) -> str:
        """Return the table in Markdown."""
        rows = [[text for text, _ in row] for row in self.cells]
        return table([text for text, _ in self.columns], rows, "l" * len(self.texts) + "r" * len(self.numbers))


def _sortable(value: Any, text: Callable[[Any], str]) -> tuple[str, float | None]:
    if value is None or isinstance(value, str):
        return ("none" if value is None else value), None
    return text(value), value[0] if isinstance(value, tuple) else value


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """Return a table; `align` has one letter per column, l or r. Cells are markdown, on one line each."""
    sides = ["left" if letter == "l" else "right" for letter in align]
    cells = [[_cell(value) for value in row] for row in rows]
    heads = [_cell(header) for header in headers]
    return tabulate(cells, headers=heads, tablefmt="pipe", disable_numparse=True, colalign=sides)


def latex(headers: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> str:
    """Return `table` for a paper: a tabular with the rules of booktabs; marks of markdown are taken off the cells."""
    plain = [[re.sub(r"\\(.)|`", r"\1", text) for text in row] for row in rows]
    sides = ["left" if letter == "l" else "right" for letter in align]
    return tabulate(plain, headers=headers, tablefmt="latex_booktabs", disable_numparse=True, colalign=sides)


def _cell(text: str) -> str:
    """One line, in which no pipe ends the cell; a pipe that is escaped already stays as it is."""
    return re.sub(r"(?<!\\)\|", r"\\|", " ".join(text.split()))


def escape(text: str) -> str:
    """Return `text` so that markdown shows it as it is written, on one line."""
    return re.sub(r"([\\`*_\[\]<>#|~&$])", r"\\\1", " ".join(text.split()))


def code(name: str) -> str:
    """Return `name` as code; one that would end the code itself, as plain text."""
    return escape(name) if "`" in name or not name else f"`{name}`"


def words(key: str) -> str:
    """weight_decay -> weight decay"""
    return escape(key.replace("_", " "))


def setting(key: str, value: Any) -> str:
    """Return a setting in words: width 8, standardize yes, fractions (pretrain 0.1, probe 0.1)."""
    if isinstance(value, dict):
        return f"{words(key)} ({', '.join(setting(k, v) for k, v in value.items())})"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    text = {"True": "yes", "False": "no", "None": "none"}.get(text, text)
    return f"{words(key)} {escape(text)}"


def percent(share: float) -> str:
    """0.8023 -> 80.2"""
    return f"{100 * share:.1f}"


def points(difference: float) -> str:
    """0.0312 -> +3.1"""
    return f"{100 * difference:+z.1f}"


def interval(low: float, high: float) -> str:
    """0.71, 0.79 -> 71.0 – 79.0"""
    return f"{percent(low)} – {percent(high)}"


def spread(values: Sequence[float], shown: Callable[[float], str]) -> str:
    """[0.80, 0.81, 0.82] -> 81.0 ± 1.0, mean and standard deviation (n - 1) in percent; `shown` writes the mean."""
    return f"{shown(fmean(values))} ± {percent(stdev(values))}"


def count(number: int, thing: str = "") -> str:
    """40000, "image" -> 40,000 images"""
    return f"{number:,} {thing}{'' if number == 1 else 's'}" if thing else f"{number:,}"
