"""VICReg: keep views close, every dimension alive, dimensions uncorrelated.

Bardes, Ponce, LeCun, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, ICLR 2022.
The printed formulas and the authors' code differ by constants; `variance_over_views` and `invariance_over_dimensions`
choose. With the defaults (mean, mean) the loss is that of the authors' code.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

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
def objective(*views: Tensor, params: "VICReg.Params") -> dict[str, Tensor]:
    """Return the loss (equation 6) and its unweighted terms for the embeddings (N, D) of two views, N at least 2.

    Of more, the further ones are small crops: the invariance is the mean over pairs with at least one of the first two.
    """
    over = params.invariance_over_dimensions
    terms = [invariance(views[i], views[j], over) for i, j in pairs(len(views))]
    return total(torch.stack(terms).mean(), views, params)


@full_precision
def asymmetric_objective(*halves: Tensor, params: "VICReg.Params") -> dict[str, Tensor]:
    """The loss with a predictor or stop-gradient (equation 8): as `objective`, the invariance in both directions.

    halves: predictions (N, D) of each view, and then the embeddings (N, D) of each view.
    """
    predictions, views = halves[: len(halves) // 2], halves[len(halves) // 2 :]
    targets = [z.detach() for z in views] if params.stop_gradient else views
    both = [direction for i, j in pairs(len(views)) for direction in ((i, j), (j, i))]
    terms = [invariance(predictions[i], targets[j], params.invariance_over_dimensions) for i, j in both]
    return total(torch.stack(terms).mean(), views, params)


def total(invariance_term: Tensor, views: Sequence[Tensor], params: "VICReg.Params") -> dict[str, Tensor]:
    terms = {"invariance": invariance_term, **params.terms(*views)}
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
        self.predictor = mlp(width, [width] * 2, norm=norm) if params.predictor else nn.Identity()

    def inputs(self, batch: Batch) -> Any:
        return self.params.inputs(batch)

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        views = embed_crops(self.encoder, self.projector, inputs)  # (N, D) each
        z = [distributed.gather(view) for view in views]
        if self.params.predictor or self.params.stop_gradient:
            predictions = z
            if self.params.predictor:
                p = self.predictor(torch.cat(views)).split(len(views[0]))
                predictions = [distributed.gather(part) for part in p]
            outputs = asymmetric_objective(*predictions, *z, params=self.params)
        else:
            outputs = objective(*z, params=self.params)
        return {**outputs, "embeddings": torch.cat(views).detach()}

    def pair_terms(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        pair = torch.stack([a, b])
        return objective(pair, pair.flip(0), params=self.params)
