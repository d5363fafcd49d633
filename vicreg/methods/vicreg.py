"""VICReg: keep views close, every dimension alive, dimensions uncorrelated.

Bardes, Ponce, LeCun, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, ICLR 2022.
The printed formulas and the authors' code differ by constants; `variance_over_views` and `invariance_over_dimensions`
choose. With the defaults (mean, mean) the loss is that of the authors' code.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from vicreg.engine import distributed
from vicreg.nn.encoder import Encoder
from vicreg.nn.mlp import mlp

LEARNS = True


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
    centred = z - z.mean(dim=0)
    matrix = centred.T @ centred / (count - 1)  # (D, D)
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / dimensions


@dataclass(frozen=True)
class Objective:
    """The weights and the convention of the loss; called with the embeddings of both views, it returns its terms."""

    invariance: float = 25.0
    variance: float = 25.0
    covariance: float = 1.0
    gamma: float = 1.0
    epsilon: float = 1e-4
    variance_over_views: str = "mean"
    invariance_over_dimensions: str = "mean"

    def __call__(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        """Return the loss (equation 6) and its unweighted terms for embeddings a, b (N, D), N at least 2.

        Computed in float32 at least, outside autocast: squares of sums over a batch do not fit into half precision.
        """
        with torch.autocast(a.device.type, enabled=False):
            a, b = (z if z.dtype == torch.float64 else z.float() for z in (a, b))
            views = 2 if self.variance_over_views == "mean" else 1
            terms = {
                "invariance": invariance(a, b, self.invariance_over_dimensions),
                "variance": (self.hinge(a) + self.hinge(b)) / views,
                "covariance": covariance(a) + covariance(b),
            }
            loss = sum(getattr(self, name) * term for name, term in terms.items())
            return {"loss": loss, **terms}

    def hinge(self, z: Tensor) -> Tensor:
        return variance(z, self.gamma, self.epsilon)


class VICReg(nn.Module):
    """Views (2N, C, H, W), the first views before the second ones -> the loss, its terms and the embeddings (2N, D).

    In a training by several processes the loss is that of all their views together.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, objective: Objective):
        super().__init__()
        self.encoder, self.projector, self.objective = encoder, head, objective

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        y = self.encoder(views)  # (2N, dimension)
        z = self.projector(y)  # (2N, width)
        a, b = (distributed.gathered(half) for half in z.chunk(2))
        return {**self.objective(a, b), "embeddings": torch.cat([a, b]).detach()}


def build(encoder: Encoder, *, width: int, projector_depth: int = 3, **objective: Any) -> nn.Module:
    """Return the method around `encoder`; `width` is the number D of dimensions of the embedding."""
    head = mlp(encoder.dimension, width, projector_depth)
    return VICReg(encoder, head, Objective(**objective))
