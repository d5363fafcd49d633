"""VICReg: keep views close, every dimension alive, dimensions uncorrelated.

Bardes, Ponce, LeCun, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, ICLR 2022,
<https://arxiv.org/abs/2105.04906>. The printed formulas and the authors' code differ by constants;
`variance_over_views` and `invariance_over_dimensions` choose. With the defaults (mean, mean) the loss is that of the
authors' code.
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from vicreg.augment.batch import Batch
from vicreg.engine import distributed
from vicreg.io.section import MAX_INT, Count, NonNegative
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.multi_crop import MultiCrop, embed_crops, pairs
from vicreg.nn.precision import full_precision
from vicreg.nn.variance_covariance import VarianceCovariance


def invariance(a: Tensor, b: Tensor, over_dimensions: str = "mean") -> Tensor:
    """Squared distance of the embeddings a, b (N, D) of two views, mean over images (equation 5).

    over_dimensions: "mean" (the authors' code) or "sum" (the printed formula, D times larger).
    """
    squares = (a - b).square()
    return squares.mean() if over_dimensions == "mean" else squares.sum(dim=1).mean()


@full_precision
def objective(
    views: list[Tensor], params: "VICReg.Params", predictions: list[Tensor] | None = None
) -> dict[str, Tensor]:
    """Return the loss (equation 6) and its unweighted terms for the embeddings (N, D) of two views, N at least 2.

    Of more, the further ones are small crops: the invariance is the mean over pairs with at least one of the first two.
    predictions: (N, D) of each view; with them, or with stop-gradient, the invariance is that of equation 8, the mean
    of both directions, from prediction to embedding.
    """
    compared = pairs(len(views))
    targets = [z.detach() for z in views] if params.stop_gradient else views
    if predictions or params.stop_gradient:
        compared = [direction for i, j in compared for direction in ((i, j), (j, i))]
    sources, over = predictions or views, params.invariance_over_dimensions
    distances = [invariance(sources[i], targets[j], over) for i, j in compared]
    terms = {"invariance": torch.stack(distances).mean(), **params.terms(views)}
    loss: Any = sum(getattr(params, name) * term for name, term in terms.items())
    return {"loss": loss, **terms}


class VICReg(Method):
    """Views (2N, 3, H, W), the first views before the second ones -> the loss, its terms and the embeddings (2N, D).

    With small crops it takes a dictionary of views and crops, whose embeddings follow those of the views. In a training
    by several processes the loss is that of all their views together.
    """

    class Params(VarianceCovariance, MultiCrop):
        """Weights of the terms (lambda, mu, nu), what the variance term asks for, conventions, heads, small crops.

        predictor (two layers, as wide as the embedding), stop_gradient, batch_norm (of both heads): the variants of the
        paper's table 4.
        """

        invariance: NonNegative = 25.0
        variance: NonNegative = 25.0
        covariance: NonNegative = 1.0
        invariance_over_dimensions: Literal["mean", "sum"] = "mean"
        projector_depth: Count = 3
        projector_width: Annotated[int, Field(ge=2, le=MAX_INT)]
        predictor: bool = False
        stop_gradient: bool = False
        batch_norm: bool = True

    pair_term = "invariance"
    pair_explanation = (
        "The VICReg loss of a pair of images with embeddings a and b: the two views are the batches of two (a, b) and "
        "(b, a). The invariance is the mean squared difference of a and b, zero for an image and itself. On a batch of "
        "two the variance and covariance terms say little: they see the distance of a and b once more, the variance "
        "term with the opposite sign, so read the invariance."
    )

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        self.embedding_scale = params.gamma
        width, norm = params.projector_width, params.batch_norm
        self.projector = mlp(encoder.num_features, [width] * params.projector_depth, norm=norm)
        self.predictor = mlp(width, [width] * 2, norm=norm) if params.predictor else None

    def inputs(self, batch: Batch) -> Any:
        return self.params.inputs(batch)

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        views = embed_crops(self.encoder, self.projector, inputs)  # (N, D) each
        predictions = None
        if self.predictor is not None:
            predicted = self.predictor(torch.cat(views)).split(len(views[0]))
            predictions = [distributed.gather(p) for p in predicted]
        outputs = objective([distributed.gather(view) for view in views], self.params, predictions)
        return {**outputs, "embeddings": torch.cat(views).detach()}

    def pair_terms(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        pair = torch.stack([a, b])
        return objective([pair, pair.flip(0)], self.params)
