"""download: a source -> data/<study>/<role>/, images in an order that no source decides."""

from pathlib import Path
from typing import Annotated

import typer

import stages
from vicreg.data import cifar, images, source


def main(role: Annotated[str, typer.Argument(help="primary or transfer: which dataset of the study")]) -> None:
    """Fetch, read or draw a dataset of the study, and recognize genuine CIFAR by its content."""
    settings, folder = stages.settings(f"download-{role}"), Path("data", stages.study(), role)
    dataset, params = settings["dataset"], settings["params"]
    with stages.timed(stages.study(), f"download-{role}"):
        origin = source.make(settings["source"], dataset, params)
        scratch = stages.scratch() / "downloads"
        loaded = origin.load(dataset, scratch=scratch, fraction=settings["fraction"], seed=settings["seed"])
        loaded = cifar.recognize(loaded, dataset, allow_subset=params.get("allow_subset", False))
        images.save(loaded, folder, images.canonical_order(loaded))
    print(f"{loaded.name}: {len(loaded):,} images, {len(loaded.classes)} classes -> {folder}")


if __name__ == "__main__":
    stages.run(main)
