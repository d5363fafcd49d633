"""A table, built once and rendered twice: as markdown here, and as HTML by the templates' macro `table`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vicreg.reporting import markdown


@dataclass(frozen=True)
class Table:
    """Columns of text, then columns of numbers.

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
        return [[_cell(value, text) for value, text in zip(row, formats, strict=True)] for row in rows]

    def to_markdown(self) -> str:
        rows = [[text for text, _ in row] for row in self.cells]
        return markdown.table([text for text, _ in self.columns], rows, "l" * len(self.texts) + "r" * len(self.numbers))


def _cell(value: Any, text: Callable[[Any], str]) -> tuple[str, float | None]:
    if value is None or isinstance(value, str):
        return ("none" if value is None else value), None
    return text(value), value[0] if isinstance(value, tuple) else value
