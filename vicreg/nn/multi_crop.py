"""Multi-crop: beside two views of full size, small ones of small parts of the image, which cost little.

Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments (SwAV), NeurIPS 2020.
"""

from itertools import product
from typing import Annotated, Any, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from vicreg.augment.batch import Batch
from vicreg.io.section import MAX_INT, Fraction, Section


class MultiCrop(Section):
    """small_views: how many; small_size: pixels of a side; small_scale_min, _max: part of the image's area.

    All else is drawn by the policy of the full-size views.
    """

    small_views: Annotated[int, Field(ge=0, le=100)] = 0
    small_size: Annotated[int, Field(ge=4, le=MAX_INT)] = 18
    small_scale_min: Fraction = 0.08
    small_scale_max: Fraction = 0.5

    @model_validator(mode="after")
    def scales_are_in_order(self) -> Self:
        """Raise ValueError for a range of small crops that is empty."""
        if self.small_scale_min > self.small_scale_max:
            raise ValueError(f"small_scale_min = {self.small_scale_min} is above small_scale_max")
        return self

    def inputs(self, batch: Batch) -> Tensor | dict[str, Tensor]:
        """Two views (2N, 3, H, W); where there are small ones, both as a dictionary, "views" and "small"."""
        views = batch.views(2)
        if not self.small_views:
            return views
        scales = {"scale_min": self.small_scale_min, "scale_max": self.small_scale_max}
        policy = batch.policy.model_copy(update=scales)
        return {"views": views, "small": batch.views(self.small_views, size=self.small_size, policy=policy)}


def embed_crops(encoder: nn.Module, projector: nn.Module, inputs: Any) -> tuple[Tensor, ...]:
    """The embeddings (N, D) of each view, full-size ones first, of what `MultiCrop.inputs` returned.

    Views of one size pass the encoder together, and all pass the projector together, as in SwAV.
    """
    crops = [inputs["views"], inputs["small"]] if isinstance(inputs, dict) else [inputs]
    z = projector(torch.cat([encoder(crop) for crop in crops]))
    return z.split(len(crops[0]) // 2)


def pairs(count: int) -> list[tuple[int, int]]:
    """Which of `count` views are compared: the first two, of full size, and each small one with both of them."""
    return [(0, 1), *product(range(2, count), range(2))]
