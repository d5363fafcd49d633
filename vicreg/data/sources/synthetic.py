"""Two drawn datasets in CIFAR's shape, made from a seed: no network, and never called CIFAR."""

from pathlib import Path

import numpy as np

from vicreg.data.images import OFFICIAL_SPLITS, Images
from vicreg.data.synthetic.scenes import draw
from vicreg.data.synthetic.shapes import SHAPES, TEXTURES

SIZES = {"train": 50_000, "test": 10_000}
NAMES = {"shapes10": "Shapes-10 (drawn)", "shapes100": "Shapes-100 (drawn)"}
DATASETS = tuple(NAMES)
PAIRS = {
    "shapes10": list(zip(SHAPES, TEXTURES, strict=True)),
    "shapes100": [(shape, texture) for shape in SHAPES for texture in TEXTURES],
}


def load(dataset: str, *, folder: Path | None, scratch: Path, fraction: float, seed: int) -> Images:
    """Draw a dataset; the same for the same `seed`, on every machine.

    dataset: "shapes10" (10 pairs of shape and texture) or "shapes100" (10 shapes by 10 textures).
    fraction: of 50,000 train and 10,000 test images, in (0, 1]; every class gets equally many, at least one.
        A smaller fraction's images are among those of a larger one.
    folder, scratch: not needed.

    Raises ValueError for another dataset or fraction.
    """
    if dataset not in PAIRS:
        raise ValueError(f"the source `synthetic` has no dataset {dataset!r}; choose from {', '.join(PAIRS)}")
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction is {fraction}, it must lie above 0 and be at most 1")
    pixels, labels, official = [], [], []
    for place, split in enumerate(OFFICIAL_SPLITS):
        count = max(1, round(SIZES[split] * fraction / len(PAIRS[dataset])))
        for label, (shape, texture) in enumerate(PAIRS[dataset]):
            seeds = np.random.SeedSequence([seed, len(PAIRS[dataset]), place, label])
            pixels.append(draw(shape, texture, count, seeds))
            labels += [label] * count
            official += [split] * count
    return Images(
        pixels=np.concatenate(pixels),
        labels=np.array(labels, dtype=np.int64),
        official=np.array(official, dtype="<U5"),
        classes=tuple(f"{shape} {texture}" for shape, texture in PAIRS[dataset]),
        name=NAMES[dataset],
        genuine=False,
    )
