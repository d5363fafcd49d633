"""Several datasets as one without labels, to pretrain on all of them: for example CIFAR-10 and CIFAR-100 together."""

from pathlib import Path
from typing import Any

import numpy as np

from vicreg.data import source
from vicreg.data.cifar import recognize
from vicreg.data.images import Images
from vicreg.data.source import Source
from vicreg.io.section import Section


class Joined(Source):
    """The images of all `parts`, each in its official split and none twice, without labels.

    A dataset that is joined can be probed too, as `transfer`: none of its images that test probes pretrains. Its test
    images must then be of the official test split: `protocol: standard`.
    """

    class Params(Section):
        """parts: by the name of each dataset, what its own section would hold."""

        parts: dict[str, dict[str, Any]]

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """Raises ValueError for images of different sizes, and what the sources of the parts raise."""
        parts = []
        for name, values in self.params.parts.items():
            params = {key: value for key, value in values.items() if key != "source"}
            one = source.make(str(values.get("source")), name, params)
            images = one.load(name, scratch=scratch, fraction=fraction, seed=seed)
            parts.append(recognize(images, name, allow_subset=params.get("allow_subset", False)))
        if len({images.pixels.shape[1:] for images in parts}) != 1:
            raise ValueError(f"datasets.{dataset}.parts: there must be some, with images of one size")
        keys = np.concatenate([images.keys for images in parts])
        first = np.sort(np.unique(keys, return_index=True)[1])  # of copies, within a part and between parts
        return Images(
            pixels=np.concatenate([images.pixels for images in parts])[first],
            labels=np.full(len(first), -1),
            official=np.concatenate([images.official for images in parts])[first],
            classes=(),
            name=" + ".join(images.name for images in parts),
            genuine=all(images.genuine for images in parts),
            synthetic=any(images.synthetic for images in parts),
        )
