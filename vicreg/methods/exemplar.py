"""Exemplar: views of one image are closer to each other than to views of any other image.

Dosovitskiy et al., Discriminative Unsupervised Feature Learning with Exemplar Convolutional Neural Networks, 2014,
<https://arxiv.org/abs/1406.6909>; as triplets in Kolesnikov, Zhai, Beyer, Revisiting Self-Supervised Visual
Representation Learning, CVPR 2019.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from vicreg.augment import operators
from vicreg.augment.batch import Batch
from vicreg.engine import distributed
from vicreg.io.section import Count, Positive, Probability, Section
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.precision import full_precision


@full_precision
def triplet_loss(z: Tensor, margin: float) -> dict[str, Tensor]:
    """The semi-hard triplet loss of embeddings z (N, K, D) of K views of N images, by squared distance.

    For each two views a, p of one image, n is the view of another image that is nearest to a among those farther than
    p, or, without such a one, the farthest; the loss is the mean of max(0, margin + |a - p|^2 - |a - n|^2) (Schroff,
    Kalenichenko, Philbin, FaceNet, CVPR 2015, section 3.2). accuracy: how often the nearest view is of the same image.
    """
    n, k, _ = z.shape
    rows = z.flatten(0, 1)
    squares = rows.square().sum(dim=1)
    distances = (squares + squares.unsqueeze(1) - 2 * rows @ rows.T).clamp_min(0)  # (NK, NK)
    image = torch.arange(n, device=z.device).repeat_interleave(k)
    positives = distances.view(n, k, n, k).diagonal(dim1=0, dim2=2).permute(2, 0, 1).reshape(n * k, k)
    others = distances.masked_fill(image == image.unsqueeze(1), torch.inf).sort(dim=1).values[:, : (n - 1) * k]
    farther = torch.searchsorted(others.detach().contiguous(), positives.detach(), right=True)
    negatives = others.gather(1, farther.clamp_max(others.shape[1] - 1))
    losses = (margin + positives - negatives).clamp_min(0)
    with_itself = torch.eye(k, dtype=torch.bool, device=z.device).repeat(n, 1)
    nearest = distances.detach().clone().fill_diagonal_(torch.inf).argmin(dim=1)
    hits = image[nearest] == image
    loss = losses.masked_fill(with_itself, 0).sum() / (n * k * (k - 1))
    return {"loss": loss, "accuracy": hits.float().mean()}


class Exemplar(Method):
    """Views (KN, 3, H, W), the first view of each image before the second ones, ... -> loss, accuracy, embeddings."""

    class Params(Section):
        """views: of each image, K. gray: the probability that an image is gray, in all views alike.

        margin: by which other images are to be farther.

        normalize: `rows`, each embedding to length 1; or `columns`, each dimension to length 1 over the batch, which
        the code of the 2019 paper does.
        """

        views: Annotated[int, Field(ge=2, le=100)] = 4
        gray: Probability = 0.66
        margin: Positive = 0.5
        normalize: Literal["rows", "columns"] = "rows"
        embedding_width: Count = 128

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        self.projector = mlp(encoder.num_features, [params.embedding_width], output_bias=True)

    def inputs(self, batch: Batch) -> Tensor:
        views = batch.views(self.params.views, policy=batch.policy.model_copy(update={"grayscale": 0.0}))
        gray = (batch.rand() < self.params.gray).repeat(self.params.views)
        return torch.where(operators.per_image(gray), operators.grayscale(views), views)

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        z = self.projector(self.encoder(views))
        together = distributed.gather(z.unflatten(0, (self.params.views, -1)).transpose(0, 1))  # (N, K, D)
        scaled = normalized(together.flatten(0, 1), self.params.normalize).view_as(together)
        return {**triplet_loss(scaled, self.params.margin), "embeddings": z.detach()}


@full_precision
def normalized(z: Tensor, what: str) -> Tensor:
    """z (M, D) with `rows`, or `columns`, of length 1."""
    return normalize(z, dim={"rows": 1, "columns": 0}[what])
