"""Rotation: tell by which of four turns an image was turned.

Gidaris, Singh, Komodakis, Unsupervised Representation Learning by Predicting Image Rotations, ICLR 2018,
<https://arxiv.org/abs/1803.07728>.
"""

from typing import Any

import torch
from torch import Tensor, nn

from vicreg.augment.batch import Batch
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.pretext import classify

TURNS = 4


def turned(views: Tensor) -> Tensor:
    """Views (N, 3, H, W) by 0, 1, 2 and 3 quarter turns to the left: (4N, 3, H, W), one turn after the other."""
    return torch.cat([views.rot90(turns, (2, 3)) for turns in range(TURNS)])


class Rotation(Method):
    """All four turns (4N, 3, H, W) of a view of each image, one turn after the other -> loss and accuracy.

    Views are flipped before they are turned: a flip afterwards would make left turns of right ones, and half of what
    is to be told could not be.
    """

    kept = ()

    def __init__(self, encoder: Encoder, params: Any, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        self.head = nn.Linear(encoder.num_features, TURNS)

    def inputs(self, batch: Batch) -> Tensor:
        return turned(batch.views(1))

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        labels = torch.arange(TURNS, device=views.device).repeat_interleave(len(views) // TURNS)
        return classify(self.head(self.encoder(views)), labels)
