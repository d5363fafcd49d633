"""VICReg: keep views close, every dimension alive, dimensions uncorrelated.

Bardes, Ponce, LeCun, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, ICLR 2022.
The printed formulas and the authors' code differ by constants; `variance_over_views` and `invariance_over_dimensions`
choose. With the defaults (mean, mean) the loss is that of the authors' code.
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from vicreg.engine import distributed
from vicreg.io.section import MAX_INT, Count, NonNegative, Positive, Section
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp


def invariance(a: Tensor, b: Tensor, over_dimensions: str = "mean") -> Tensor:
    """Squared distance of the embeddings a, b (N, D) of two views, mean over images (equation 5).

    over_dimensions: "mean" (the authors' code) or "sum" (the printed formula, D times larger).
    """
    squares = (a - b).square()
    return squares.mean() if over_dimensions == "mean" else squares.sum(dim=1).mean()


def variance(z: Tensor, gamma: float = 1.0, epsilon: float = 1e-4) -> Tensor:
    """Hinge on the standard deviation over the batch of each dimension of z (N, D), mean over D (equation 1)."""
    deviation = torch.sqrt(z.var(dim=0) + epsilon)
    return torch.relu(gamma - deviation).mean()


def covariance(z: Tensor) -> Tensor:
    """Sum of the squared off-diagonal entries of the covariance of z (N, D), divided by D (equations 3 and 4)."""
    count, dimensions = z.shape
    centered = z - z.mean(dim=0)
    matrix = centered.T @ centered / (count - 1)  # (D, D)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / dimensions


def objective(a: Tensor, b: Tensor, params: "VICReg.Params") -> dict[str, Tensor]:
    """Return the loss (equation 6) and its unweighted terms for embeddings a, b (N, D), N at least 2.

    Computed in float32 at least, outside autocast: squares of sums over a batch do not fit into half precision.
    """
    with torch.autocast(a.device.type, enabled=False):
        a, b = (z if z.dtype == torch.float64 else z.float() for z in (a, b))
        views = 2 if params.variance_over_views == "mean" else 1
        gamma, epsilon = params.gamma, params.epsilon
        terms = {  # in this order: gradients add up in the reverse one, to the last bit
            "invariance": invariance(a, b, params.invariance_over_dimensions),
            "variance": (variance(a, gamma, epsilon) + variance(b, gamma, epsilon)) / views,
            "covariance": covariance(a) + covariance(b),
        }
        loss: Any = sum(getattr(params, name) * term for name, term in terms.items())
        return {"loss": loss, **terms}


class VICReg(Method):
    """Views (2N, 3, H, W), the first views before the second ones -> the loss, its terms and the embeddings (2N, D).

    In a training by several processes the loss is that of all their views together.
    """

    class Params(Section):
        """Weights of the terms (lambda, mu, nu), what the variance term asks for, conventions, the projector's size."""

        invariance: NonNegative = 25.0
        variance: NonNegative = 25.0
        covariance: NonNegative = 1.0
        gamma: Positive = 1.0
        epsilon: Positive = 1e-4
        variance_over_views: Literal["mean", "sum"] = "mean"
        invariance_over_dimensions: Literal["mean", "sum"] = "mean"
        projector_depth: Count = 3
        projector_width: Annotated[int, Field(ge=2, le=MAX_INT)]

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
        self.projector = mlp(encoder.num_features, params.projector_width, params.projector_depth)

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        y = self.encoder(views)  # (2N, num_features)
        z = self.projector(y)  # (2N, D)
        a, b = (distributed.gather(half) for half in z.chunk(2))
        return {**objective(a, b, self.params), "embeddings": z.detach()}

    def pair_terms(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        pair = torch.stack([a, b])
        return objective(pair, pair.flip(0), self.params)
