"""Any folder of pictures, of any number and size: with classes as sub-folders, or without labels."""

import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated

import numpy as np
from pydantic import Field

from vicreg.data.image_files import list_files, read_files, summary
from vicreg.data.images import OFFICIAL_SPLITS, Images, seeded
from vicreg.data.source import Source
from vicreg.io.section import PathOrUrl, Section


class Folder(Source):
    """Reads `<class>/**/<picture>`, with `train/` and `test/` above the classes if both are there.

    In a folder without sub-folders, or with `labeled: false`, the images have no labels; they only pretrain.
    """

    class Params(Section):
        """Where the pictures lie, and what becomes of them."""

        folder: PathOrUrl  # where the pictures lie; files that are none are passed over
        image_size: Annotated[int, Field(ge=8, le=1024)] = 32  # of the shorter side; the middle of the other remains
        labeled: bool = True  # whether sub-folders are classes
        # Of each class, drawn by content, where there is no `test/` and there are labels.
        test_fraction: Annotated[float, Field(gt=0, lt=1)] = 1 / 6

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """The images are called by the dataset's name. Raises ValueError where the folder holds none."""
        root, size = Path(self.params.folder).expanduser(), self.params.image_size
        divided = all((root / split).is_dir() for split in OFFICIAL_SPLITS)
        files = {file: file.relative_to(root).parts[:-1] for file in list_files(root)}  # with the folders above each
        files = {file: above for file, above in files.items() if not divided or (above and above[0] in OFFICIAL_SPLITS)}
        labeled = self.params.labeled and any(len(above) > divided for above in files.values())
        files = {file: above for file, above in files.items() if not labeled or len(above) > divided}
        scratch.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=scratch) as stream:  # whose content stays as long as it is mapped
            pixels = np.memmap(stream, np.uint8, "w+", shape=(max(1, len(files)), size, size, 3))
        names, passed_over = read_files(list(files), root, pixels, crop=True)
        if passed_over:
            print(f"{dataset}: {summary(passed_over)}", file=sys.stderr)
        parts = [files[root / name] for name in names]
        classes, labels = np.unique([above[divided] if labeled else "" for above in parts], return_inverse=True)
        images = Images(
            pixels=np.asarray(pixels[: len(names)]),
            labels=labels if labeled else np.full(len(parts), -1),
            official=np.array([above[0] if divided else "train" for above in parts], dtype="<U5"),
            classes=tuple(classes.tolist()) if labeled else (),
            name=dataset,
        )
        return images if divided or not labeled else held_out(images, self.params.test_fraction, seed)


def held_out(images: Images, fraction: float, seed: int) -> Images:
    """Return the images with this fraction of each class as the official "test", drawn by content and seed."""
    official = images.official.copy()
    order = np.argsort(seeded(images.keys, seed), kind="stable")
    for label in range(len(images.classes)):
        members = order[images.labels[order] == label]
        official[members[: round(fraction * len(members))]] = "test"
    return replace(images, official=official, totals={})
