"""download: a source -> data/<study>/<role>/, images in an order that no source decides."""

from typing import Annotated

import typer

from stages import paths, run, scratch, settings, timed
from vicreg.data import cifar, images, source


def main(role: Annotated[str, typer.Argument(help="primary or transfer: which dataset of the study")]) -> None:
    """Fetch, read or draw a dataset of the study, and recognize genuine CIFAR by its content."""
    options, folder = settings(f"download-{role}"), paths().data(role)
    dataset, params = options["dataset"], options["params"]
    with timed(f"download-{role}"):
        origin, downloads = source.make(options["source"], dataset, params), scratch() / "downloads"
        loaded = origin.load(dataset, scratch=downloads, fraction=options["fraction"], seed=options["seed"])
        loaded = cifar.recognize(loaded, dataset, allow_subset=params.get("allow_subset", False))
        images.save(loaded, folder, images.canonical_order(loaded))
    print(f"{loaded.name}: {len(loaded):,} images, {len(loaded.classes)} classes -> {folder}")


if __name__ == "__main__":
    run(main)
