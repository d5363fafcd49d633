"""Published figures, in % as printed, with their sources: they stand beside genuine CIFAR, nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vicreg.io import yaml

CONTENT: dict[str, Any] = yaml.load(Path(__file__).with_suffix(".yaml"))


@dataclass(frozen=True)
class Published:
    """One accuracy as printed, in %. `row` names the row of our tables that it stands beside, if any."""

    source: str
    dataset: str
    model: str
    top1: float
    top5: float | None
    row: str | None


FIGURES = [Published(*figure) for figure in CONTENT["figures"]]


def published(dataset: str) -> list[Published]:
    """Return what is published about the dataset of this key."""
    return [figure for figure in FIGURES if figure.dataset == dataset]


def references(dataset: str) -> dict[str, Published]:
    """Return, by row, the figures that stand beside rows of our own."""
    return {figure.row: figure for figure in published(dataset) if figure.row}


def sources(figures: list[Published]) -> list[dict[str, str]]:
    """Return the title, reference and protocol of these figures' publications, each once."""
    return [CONTENT["sources"][key] for key in dict.fromkeys(figure.source for figure in figures)]
