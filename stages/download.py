"""download: a source -> data/<study>/<slot>.npz, images in an order that no source decides."""

from pathlib import Path
from typing import Annotated

import typer

from stages import SLOTS, Paths, run, scratch, timed
from vicreg.data import cifar, images
from vicreg.io import plugins
from vicreg.study import params


def main(slot: Annotated[str, typer.Argument(help="primary or transfer: which dataset of the study")]) -> None:
    """Fetch, read or draw a dataset of the study, and recognise genuine CIFAR by its content."""
    p = params.load()
    sizes = p.sizes
    if slot not in SLOTS:
        raise ValueError(f"there is no dataset {slot!r} in a study; choose from {', '.join(SLOTS)}")
    dataset = {"primary": sizes.primary, "transfer": sizes.transfer}[slot]
    with timed(p.study, f"download-{slot}"):
        found = plugins.member("sources", sizes.source).load(
            dataset,
            folder=Path(sizes.folder).expanduser() if sizes.folder else None,
            scratch=scratch() / "downloads",
            fraction=max(sizes.fractions.pretrain, sizes.fractions.probe),
            seed=p.seed,
        )
        known = images.in_canonical_order(cifar.recognise(found, dataset, subset=sizes.subset))
        images.save(known, Paths(p.study).data(slot))
    print(f"{known.name}: {len(known):,} images, {len(known.classes)} classes -> {Paths(p.study).data(slot)}")


if __name__ == "__main__":
    run(main)
