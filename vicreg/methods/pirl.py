"""PIRL: an image and its patches in any order find the image again among all others.

Misra, van der Maaten, Self-Supervised Learning of Pretext-Invariant Representations, CVPR 2020,
<https://arxiv.org/abs/1912.01991>.
"""

import torch
from torch import Tensor, nn

from vicreg.augment.batch import Batch
from vicreg.engine import distributed
from vicreg.io.section import Count, Fraction, Probability
from vicreg.nn.encoder import Encoder
from vicreg.nn.memory_bank import BankParams, MemoryBank
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.patches import PATCHES, SIDE, Grid, Representation, evaluated
from vicreg.nn.precision import unit


class PIRL(Method):
    """A view (N, 3, H, W), shuffled patches of another (N, 9, 3, h, w), and indices (N,) -> the loss and its terms."""

    class Params(BankParams, Grid):
        """invariance: the weight lambda of what the patches find; the image's is 1 - lambda (equation 6).

        patches_scale_min: area of the crop that patches are cut from, as a share of the image's. representation: what
        is evaluated: the whole `image`, or the mean over its `patches`.
        """

        invariance: Probability = 0.5
        patches_scale_min: Fraction = 0.6
        embedding_width: Count = 128
        representation: Representation = "image"

    remembers_images = True

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        width = params.embedding_width
        self.projector = mlp(encoder.num_features, [width], output_bias=True)  # f
        self.embed_patch = nn.Linear(encoder.num_features, width)
        self.head = nn.Linear(PATCHES * width, width)  # g, of the embeddings of all patches
        self.bank = MemoryBank(num_images, width)

    @property
    def representation(self) -> Encoder:
        encoder, central_patches = self.encoder, self.params.central_patches
        return evaluated(encoder, self.params.representation, lambda x: encoder.normalize(central_patches(x)))

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        policy = batch.policy.model_copy(update={"scale_min": self.params.patches_scale_min, "scale_max": 1.0})
        views = batch.views(1, size=SIDE * self.params.cell, policy=policy)
        patches, order = self.params.random_patches(views, batch), batch.rand(PATCHES).argsort(dim=1)
        shuffled = patches[torch.arange(len(patches), device=patches.device).unsqueeze(1), order]
        return {"views": batch.views(1), "patches": shuffled, **self.params.draw(batch, len(self.bank.rows))}

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        patches = self.embed_patch(self.encoder(inputs["patches"].flatten(0, 1)))
        z = self.projector(self.encoder(inputs["views"]))  # last: batch norm's running statistics are more of images
        by_patches = self.params.contrast(unit(self.head(patches.view(len(z), -1))), self.bank.rows, inputs)
        by_image = self.params.contrast(unit(z), self.bank.rows, inputs)
        return {
            "loss": torch.lerp(by_image["loss"], by_patches["loss"], self.params.invariance),
            "image_loss": by_image["loss"].detach(),
            "patches_loss": by_patches["loss"].detach(),
            "accuracy": by_patches["accuracy"],
            "embeddings": z.detach(),
            "indices": inputs["indices"],
        }

    def after_step(self, outputs: dict[str, Tensor], progress: float) -> None:
        indices, z = (distributed.gather(outputs[key]) for key in ("indices", "embeddings"))
        self.bank.update(indices, unit(z), self.params.bank_momentum)
