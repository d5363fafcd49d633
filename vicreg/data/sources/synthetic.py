"""Two drawn datasets in CIFAR's shape, made from a seed: no network, and never called CIFAR."""

from pathlib import Path

import numpy as np

from vicreg.data.images import OFFICIAL_SPLITS, Images
from vicreg.data.source import Source
from vicreg.data.synthetic.scenes import draw
from vicreg.data.synthetic.shapes import SHAPES, TEXTURES

TOTALS = {"train": 50_000, "test": 10_000}
NAMES = {"shapes10": "Shapes-10 (drawn)", "shapes100": "Shapes-100 (drawn)"}
PAIRS = {
    "shapes10": list(zip(SHAPES, TEXTURES, strict=True)),
    "shapes100": [(shape, texture) for shape in SHAPES for texture in TEXTURES],
}


class Synthetic(Source):
    """Draws "shapes10" (10 pairs of shape and texture) or "shapes100" (10 shapes by 10 textures)."""

    DATASETS = tuple(NAMES)

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """The same for the same seed everywhere, equally many of each class; a smaller fraction is part of a larger."""
        pairs = PAIRS[dataset]
        pixels, labels, official = [], [], []
        for index, split in enumerate(OFFICIAL_SPLITS):
            count = int(np.ceil(np.ceil(round(TOTALS[split] * fraction, 6)) / len(pairs)))
            for label, (shape, texture) in enumerate(pairs):
                pixels.append(draw(shape, texture, count, np.random.SeedSequence([seed, len(pairs), index, label])))
                labels += [label] * count
                official += [split] * count
        return Images(
            pixels=np.concatenate(pixels),
            labels=np.array(labels),
            official=np.array(official),
            classes=tuple(f"{shape} {texture}" for shape, texture in pairs),
            name=NAMES[dataset],
            synthetic=True,
            totals=TOTALS,
        )
