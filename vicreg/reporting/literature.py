"""Published figures, in % as printed, with their sources: they stand beside genuine CIFAR, nothing else."""

from pathlib import Path
from typing import Any

from vicreg.io import yaml

CONTENT: dict[str, Any] = yaml.load(Path(__file__).with_suffix(".yaml"))


def published(dataset: str) -> list[dict[str, Any]]:
    """Return what is published about the dataset of this key."""
    return [figure for figure in CONTENT["figures"] if figure["dataset"] == dataset]


def references(dataset: str) -> dict[str, dict[str, Any]]:
    """Return, by row, the figures that stand beside rows of our own."""
    return {figure["row"]: figure for figure in published(dataset) if "row" in figure}


def sources(dataset: str) -> list[dict[str, str]]:
    """Return the title, reference and protocol of the publications about a dataset, each once."""
    return [CONTENT["sources"][key] for key in dict.fromkeys(figure["source"] for figure in published(dataset))]
