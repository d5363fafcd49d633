"""Barlow Twins: make the correlation between the dimensions of two views the identity.

Zbontar, Jing, Misra, LeCun, Deny, Barlow Twins: Self-Supervised Learning via Redundancy Reduction, ICML 2021,
<https://arxiv.org/abs/2103.03230>.
"""

from torch import Tensor

from vicreg.engine import distributed
from vicreg.io.section import Count, NonNegative, Positive, Section
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.precision import full_precision

EPSILON = 1e-5  # added to the variance, as batch norm does in the authors' code


def standardize(z: Tensor) -> Tensor:
    """Each dimension of z (N, D) to mean 0 and variance 1 over the batch."""
    return (z - z.mean(dim=0)) * (z.var(dim=0, correction=0) + EPSILON).rsqrt()


@full_precision
def objective(a: Tensor, b: Tensor, scale: float, redundancy: float) -> dict[str, Tensor]:
    """Return the loss (equation 1, times `scale`) and its terms for the embeddings a, b (N, D) of two views.

    `invariance`: the squared distance of the diagonal of the cross-correlation from 1; `redundancy`: the squares beside
    the diagonal, which the loss weighs with `redundancy` (lambda).
    """
    correlation = standardize(a).T @ standardize(b) / len(a)  # (D, D)
    dimensions = len(correlation)
    beside = correlation.flatten()[:-1].view(dimensions - 1, dimensions + 1)[:, 1:]  # all but the diagonal
    terms = {"invariance": (correlation.diagonal() - 1).square().sum(), "redundancy": beside.square().sum()}
    return {"loss": scale * (terms["invariance"] + redundancy * terms["redundancy"]), **terms}


class BarlowTwins(Method):
    """Views (2N, 3, H, W), the first views before the second ones -> the loss, its terms and the embeddings (2N, D)."""

    class Params(Section):
        """redundancy: the weight lambda; scale: of the loss, which LARS ignores for layers that it adapts."""

        redundancy: NonNegative = 0.0051
        scale: Positive = 0.1
        projector_depth: Count = 3
        projector_width: Count

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        widths = [params.projector_width] * params.projector_depth
        self.projector = mlp(encoder.num_features, widths, bias=False)

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        z = self.projector(self.encoder(views))  # (2N, D)
        a, b = (distributed.gather(half) for half in z.chunk(2))
        return {**objective(a, b, self.params.scale, self.params.redundancy), "embeddings": z.detach()}
