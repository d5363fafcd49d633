"""What `vicreg predict` shows: a table with bars on a terminal, else lines."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vicreg.cli.encoders import SHIPPED

SHAPES = f"These are drawn shapes: of a photo it says nothing. For photos there is `-e {os.path.relpath(SHIPPED)}`."
BAR = 20  # characters of a probability of 1


def show(result: dict[str, Any], console: Console) -> None:
    """Print the predictions that `vicreg.serving.predict.predict` returned."""
    for dataset in result["datasets"]:
        if console.is_terminal:
            console.print(Group(table(dataset["images"]), *about(dataset, result), ""), highlight=False, markup=False)
        else:
            print("\n".join([*lines(dataset["images"]), *about(dataset, result)]), end="\n\n", file=console.file)


def lines(images: dict[str, dict[str, float]]) -> Iterator[str]:
    """Below the name of each image its classes, with their probabilities."""
    for name, classes in images.items():
        yield name
        yield from (f"  {100 * probability:5.1f} %  {label}" for label, probability in classes.items())
        yield ""


def table(images: dict[str, dict[str, float]]) -> Table:
    """Those as a table in which bars show the probabilities."""
    shown = Table("image", "class", "", "probability", box=SIMPLE)
    for name, classes in images.items():
        for rank, (label, probability) in enumerate(classes.items()):
            bar = ProgressBar(total=1, completed=probability, width=BAR, complete_style="green", finished_style="green")
            first = Text("" if rank else name, overflow="fold")
            shown.add_row(
                first, Text(label), bar, f"{100 * probability:5.1f} %", end_section=rank + 1 == len(classes) > 1
            )
    return shown


def about(dataset: dict[str, Any], result: dict[str, Any]) -> list[str]:
    """What to make of predictions for a dataset."""
    said = [
        f"By the {result['probe']} probe for {dataset['name']} on {Path(result['encoder']).stem}, "
        f"right for {100 * dataset['top1']:.1f} % of its test images.",
        f"It knows {dataset['classes']} classes, and names one of them whatever a picture shows.",
    ]
    return said + ([SHAPES] if dataset["synthetic"] else [])
