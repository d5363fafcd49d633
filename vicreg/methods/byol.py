"""BYOL: predict what a slowly moving copy of the network makes of the other view.

Grill et al., Bootstrap Your Own Latent, NeurIPS 2020, <https://arxiv.org/abs/2006.07733>. The terms `variance` and
`covariance` are those that Bardes, Ponce, LeCun, VICReg, ICLR 2022, section 5 and equation 8, add to it.
"""

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity

from vicreg.engine import distributed
from vicreg.io.section import Count
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.precision import full_precision
from vicreg.nn.teacher import Momentum, Teacher
from vicreg.nn.variance_covariance import AddedTerms


@full_precision
def objective(p1: Tensor, p2: Tensor, t1: Tensor, t2: Tensor) -> Tensor:
    """The squared distance of predictions p to the teacher's embeddings t of the other view, all (N, D), on the sphere.

    Summed over both directions, mean over images (equation 2 and its mirror image): 4 - 2 cos - 2 cos, in [0, 8].
    """
    return (4 - 2 * cosine_similarity(p1, t2) - 2 * cosine_similarity(p2, t1)).mean()


class BYOL(Method):
    """Views (2N, 3, H, W), the first views before the second ones -> the loss, its terms and the embeddings (2N, D)."""

    class Params(Momentum, AddedTerms):
        """The teacher's momentum (at the start and at the end), the heads, and the weights of VICReg's terms."""

        projector_width: Count
        embedding_width: Count = 256

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        widths = [params.projector_width, params.embedding_width]
        self.projector = mlp(encoder.num_features, widths, output_bias=True)
        self.predictor = mlp(params.embedding_width, widths, output_bias=True)
        self.teacher = Teacher(self.encoder, self.projector)

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        z = self.projector(self.encoder(views))  # (2N, D)
        with torch.no_grad():
            targets = self.teacher(views)
        loss = objective(*self.predictor(z).chunk(2), *targets.chunk(2))
        return {**self.params.add_to(loss, z, distributed.gather), "embeddings": z.detach()}

    def after_step(self, outputs: dict[str, Tensor], progress: float) -> None:
        self.teacher.update(self.encoder, self.projector, momentum=self.params.momentum_at(progress))
