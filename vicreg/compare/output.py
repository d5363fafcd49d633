"""Files of a comparison: one function writes them all."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from vicreg.io import atomic
from vicreg.reporting.figures import style


def write(stem: Path, numbers: pd.DataFrame, text: str, figure: Figure) -> None:
    """Write `text` to `stem`.md, `figure` to `stem`.svg and .png, and every number to `stem`.csv."""
    style.save(figure, stem)
    for ending, content in ((".md", text), (".csv", numbers.to_csv(index=False, lineterminator="\n"))):
        with atomic.writing(stem.with_suffix(ending)) as file:
            file.write(content.encode())
