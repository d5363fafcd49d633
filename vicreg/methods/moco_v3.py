"""MoCo v3: tell an image's key from those of the other images of the batch, by a prediction.

Chen, Xie, He, An Empirical Study of Training Self-Supervised Vision Transformers, ICCV 2021, section 3,
<https://arxiv.org/abs/2104.02057>.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from vicreg.engine import distributed
from vicreg.io.section import Count, Positive
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.precision import full_precision
from vicreg.nn.teacher import Momentum, Teacher


@full_precision
def contrast(q: Tensor, k: Tensor, temperature: float, first: int = 0) -> Tensor:
    """The cross-entropy of each prediction's own key among all keys, times 2 * temperature, mean over q (n, D).

    k: (N, D), the keys of all processes; the own key of row i of q is row `first` + i. Any scale of either will do.
    """
    scores = normalize(q) @ normalize(k).T / temperature  # (n, N)
    return 2 * temperature * cross_entropy(scores, torch.arange(first, first + len(q), device=q.device))


class MoCoV3(Method):
    """Views (2N, 3, H, W), the first views before the second ones -> the loss and the embeddings (2N, D)."""

    class Params(Momentum):
        """temperature; momentum of the key encoder, at the start and at the end; the heads."""

        temperature: Positive = 0.2
        projector_width: Count
        embedding_width: Count = 256

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        widths = [params.projector_width, params.embedding_width]
        self.projector = mlp(encoder.num_features, widths, bias=False, output_norm=True)
        self.predictor = mlp(params.embedding_width, widths, bias=False)
        self.teacher = Teacher(self.encoder, self.projector)

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        z = self.projector(self.encoder(views))  # (2N, D)
        q1, q2 = self.predictor(z).chunk(2)
        with torch.no_grad():
            k1, k2 = (distributed.gather(k) for k in self.teacher(views).chunk(2))
        first, temperature = distributed.rank() * len(q1), self.params.temperature
        loss = contrast(q1, k2, temperature, first) + contrast(q2, k1, temperature, first)
        return {"loss": loss, "embeddings": z.detach()}

    def after_step(self, outputs: dict[str, Tensor], progress: float) -> None:
        self.teacher.update(self.encoder, self.projector, momentum=self.params.momentum_at(progress))
