"""Variance and covariance: the terms by which VICReg keeps dimensions alive and uncorrelated, for any method.

Bardes, Ponce, LeCun, VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning, ICLR 2022.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from vicreg.io.section import NonNegative, Positive, Section
from vicreg.nn.precision import full_precision, unit


class VarianceCovariance(Section):
    """Weights of both terms, and what the variance term asks for.

    gamma: the standard deviation that each dimension is to have; epsilon: added to the variance under the root.
    variance_over_views: "mean" (the authors' code) or "sum" (the printed formula: the weight counts double).
    """

    variance: NonNegative = 0.0
    covariance: NonNegative = 0.0
    gamma: Positive = 1.0
    epsilon: Positive = 1e-4
    variance_over_views: Literal["mean", "sum"] = "mean"

    @full_precision
    def terms(self, views: list[Tensor]) -> dict[str, Tensor]:
        """The unweighted terms of the embeddings (N, D) of each view; covariance counts as for two views."""
        count = len(views)
        hinges = [variance(z, self.gamma, self.epsilon) for z in views]
        return {
            "variance": torch.stack(hinges).sum() / (count if self.variance_over_views == "mean" else count / 2),
            "covariance": torch.stack([covariance(z) for z in views]).sum() / (count / 2),
        }


class AddedTerms(VarianceCovariance):
    """Both terms, added to the loss of another method, which they leave as it is where both weights are 0.

    regularize: what they see of the projector's output z, "embeddings", z itself, or "directions", sqrt(D) z / |z|: the
    paper leaves it open.

    Equation 8 weighs (v + v) with mu and (c + c) with nu; `variance` is 2 mu where `variance_over_views` is "mean".
    """

    regularize: Literal["embeddings", "directions"] = "embeddings"

    def add_to(self, loss: Tensor, z: Tensor, gather: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Return the whole loss, and its parts where there are several, for embeddings z (2N, D) of two views.

        loss: the other method's. gather: makes of a process's rows (N, D) those of all processes.
        """
        if not self.variance and not self.covariance:
            return {"loss": loss}
        views = [gather(half) for half in z.chunk(2)]
        if self.regularize == "directions":
            views = [unit(view) * math.sqrt(z.shape[1]) for view in views]
        terms = self.terms(views)
        whole = loss + self.variance * terms["variance"] + self.covariance * terms["covariance"]
        return {"loss": whole, "prediction": loss, **terms}


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
