"""Jigsaw: tell in which of some known orders the nine patches of an image lie.

Noroozi, Favaro, Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles, ECCV 2016,
<https://arxiv.org/abs/1603.09246>; as in Kolesnikov, Zhai, Beyer, Revisiting Self-Supervised Visual Representation
Learning, CVPR 2019, where representations of patches are put in order, and not patches: so one pass of nine patches
serves several puzzles.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from vicreg.augment.batch import Batch
from vicreg.io.section import Count
from vicreg.methods import _permutations
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.patches import PATCHES, Puzzle, represent
from vicreg.nn.pretext import classify


class Jigsaw(Method):
    """Patches (N, 9, 3, h, w), by rows, and which orders to put them in, (N, puzzles) -> loss and accuracy."""

    class Params(Puzzle):
        """permutations: how many orders there are to tell. puzzles: of each image in a step.

        distance: whether the orders differ in as many places as can be (`minimum`: any two of 72 do in 8), or by the
        published procedure (`mean`).
        """

        permutations: Count = 72
        distance: Literal["minimum", "mean"] = "minimum"
        puzzles: Count = 8
        projector_width: Count
        embedding_width: Count = 128

    kept = ()
    orders: Tensor

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        count = params.permutations
        self.register_buffer("orders", torch.zeros(count, PATCHES, dtype=torch.int64))
        self.embed_patch = nn.Linear(encoder.num_features, params.embedding_width)
        self.head = mlp(PATCHES * params.embedding_width, [params.projector_width, count], output_bias=True)

    def initialize(self) -> None:
        count, minimum = self.params.permutations, self.params.distance == "minimum"
        seed = int(torch.randint(2**31, ()))
        orders = _permutations.largest_minimum(count) if minimum else _permutations.greedy_mean(count, seed)
        self.orders.copy_(torch.from_numpy(orders))

    @property
    def representation(self) -> Encoder:
        return self.params.evaluated(self.encoder)

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        drawn = (batch.rand(self.params.puzzles) * len(self.orders)).long()
        return {"patches": self.params.inputs(batch), "orders": drawn}

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        patches, drawn = inputs["patches"], inputs["orders"]
        z = self.embed_patch(represent(self.encoder.backbone, patches))  # (N, 9, D)
        puzzles = z[torch.arange(len(z), device=z.device).view(-1, 1, 1), self.orders[drawn]]  # (N, puzzles, 9, D)
        return classify(self.head(puzzles.flatten(0, 1).flatten(1)), drawn.flatten())
