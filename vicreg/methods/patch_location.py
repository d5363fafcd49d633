"""Patch location: tell on which of eight sides of the middle patch another patch lies.

Doersch, Gupta, Efros, Unsupervised Visual Representation Learning by Context Prediction, ICCV 2015,
<https://arxiv.org/abs/1505.05192>; all eight pairs of each image, as in Kolesnikov, Zhai, Beyer, Revisiting
Self-Supervised Visual Representation Learning, CVPR 2019.
"""

import torch
from torch import Tensor, nn

from vicreg.augment.batch import Batch
from vicreg.io.section import Count
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.patches import CENTER, PATCHES, Puzzle, represent
from vicreg.nn.pretext import classify


class PatchLocation(Method):
    """Patches (N, 9, 3, h, w), by rows -> loss and accuracy over all pairs (neighbor, middle), by rows."""

    class Params(Puzzle):
        """embedding_width: of each patch; projector_width: of the head's hidden layer."""

        projector_width: Count
        embedding_width: Count = 128

    kept = ()

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        self.embed_patch = nn.Linear(encoder.num_features, params.embedding_width)
        self.head = mlp(2 * params.embedding_width, [params.projector_width, PATCHES - 1], output_bias=True)

    @property
    def representation(self) -> Encoder:
        return self.params.evaluated(self.encoder)

    def inputs(self, batch: Batch) -> Tensor:
        return self.params.inputs(batch)

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        z = self.embed_patch(represent(self.encoder.backbone, patches))  # (N, 9, D)
        neighbors = torch.cat([z[:, :CENTER], z[:, CENTER + 1 :]], dim=1)
        pairs = torch.cat([neighbors, z[:, CENTER : CENTER + 1].expand_as(neighbors)], dim=2)  # (N, 8, 2D)
        labels = torch.arange(PATCHES - 1, device=z.device).repeat(len(z))
        return classify(self.head(pairs.flatten(0, 1)), labels)
