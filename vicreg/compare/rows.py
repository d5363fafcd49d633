"""Rows: a list of equal dictionaries, one for each line of a table: grouped, and as a CSV file."""

import csv
import io
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from vicreg.io import atomic

Row = dict[str, Any]


def by(rows: list[Row], key: str) -> dict[Any, list[Row]]:
    """The rows by what they hold under `key`, in the order in which that comes first."""
    order = {value: place for place, value in enumerate(dict.fromkeys(row[key] for row in rows))}
    ordered = sorted(rows, key=lambda row: order[row[key]])
    return {value: list(same) for value, same in groupby(ordered, itemgetter(key))}


def write(rows: list[Row], path: Path) -> None:
    """Write the rows as CSV, under the names of the first one's values; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic.writing(path) as file:
        file.write(text.getvalue().encode())
