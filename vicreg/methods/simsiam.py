"""SimSiam: predict the embedding of the other view, which gets no gradient.

Chen, He, Exploring Simple Siamese Representation Learning, CVPR 2021, <https://arxiv.org/abs/2011.10566>. The terms
`variance` and `covariance` are those that Bardes, Ponce, LeCun, VICReg, ICLR 2022, section 5 and equation 8, add to it.
"""

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from vicreg.engine import distributed
from vicreg.io.section import Count
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.precision import full_precision
from vicreg.nn.variance_covariance import AddedTerms


@full_precision
def objective(p1: Tensor, p2: Tensor, z1: Tensor, z2: Tensor) -> Tensor:
    """The negative cosine of predictions p and embeddings z of the other view, all (N, D), in [-1, 1] (equation 4)."""
    forth, back = cosine_similarity(p1, z2.detach()), cosine_similarity(p2, z1.detach())
    return -(forth + back).mean() / 2


class SimSiam(Method):
    """Views (2N, 3, H, W), the first views before the second ones -> the loss, its terms and the embeddings (2N, D)."""

    class Params(AddedTerms):
        """The heads, and the weights of VICReg's terms.

        predictor_width: of its hidden layer, a quarter of the embedding's by default. constant_predictor_lr: whether
        the predictor keeps the peak rate. predictor, batch_norm: the variants of VICReg's table 4, without either.
        """

        projector_depth: Count = 2
        projector_width: Count
        predictor: bool = True
        predictor_width: Count | None = None
        constant_predictor_lr: bool = True
        batch_norm: bool = True

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        width, norm = params.projector_width, params.batch_norm
        widths = [width] * params.projector_depth
        self.projector = mlp(encoder.num_features, widths, norm=norm, bias=not norm, output_norm=norm)
        hidden = params.predictor_width or max(1, width // 4)
        self.predictor: nn.Module = nn.Identity()
        if params.predictor:
            self.predictor = mlp(width, [hidden, width], norm=norm, bias=not norm, output_bias=True)
            self.fixed_lr = ("predictor",) if params.constant_predictor_lr else ()

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        z = self.projector(self.encoder(views))  # (2N, D)
        loss = objective(*self.predictor(z).chunk(2), *z.chunk(2))
        return {**self.params.add_to(loss, z, distributed.gather), "embeddings": z.detach()}
