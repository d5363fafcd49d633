"""SimCLR: tell the other view of an image from all other views in the batch.

Chen, Kornblith, Norouzi, Hinton, A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020,
<https://arxiv.org/abs/2002.05709>.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize

from vicreg.augment.batch import Batch
from vicreg.engine import distributed
from vicreg.io.section import Count, Positive
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.multi_crop import MultiCrop, embed_crops, pairs
from vicreg.nn.precision import full_precision


@full_precision
def nt_xent(a: Tensor, b: Tensor, temperature: float) -> Tensor:
    """The normalized, temperature-scaled cross-entropy of the embeddings a, b (N, D) of two views (equation 1).

    Mean over all 2N views of the cross-entropy of its pair among the 2N - 1 others, by cosine / temperature.
    """
    z = normalize(torch.cat([a, b]))
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    scores = (z @ z.T / temperature).masked_fill(itself, -torch.inf)  # (2N, 2N)
    return cross_entropy(scores, torch.arange(len(z), device=z.device).roll(len(a)))


class SimCLR(Method):
    """Views (2N, 3, H, W), the first views before the second ones -> the loss and the embeddings (2N, D).

    With small crops, a dictionary of views and crops, the loss is the mean over pairs of which one at least is of full
    size, and embeddings of crops follow those of views.
    """

    class Params(MultiCrop):
        """temperature: divides the cosines; projector_width, embedding_width: of its hidden layer and its output."""

        temperature: Positive = 0.2
        projector_width: Count
        embedding_width: Count = 256

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        widths = [params.projector_width, params.embedding_width]
        self.projector = mlp(encoder.num_features, widths, norm=False, output_bias=True)

    def inputs(self, batch: Batch) -> Any:
        return self.params.inputs(batch)

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        views = embed_crops(self.encoder, self.projector, inputs)  # (N, D) each
        z = [distributed.gather(view) for view in views]
        losses = [nt_xent(z[i], z[j], self.params.temperature) for i, j in pairs(len(z))]
        return {"loss": torch.stack(losses).mean(), "embeddings": torch.cat(views).detach()}
