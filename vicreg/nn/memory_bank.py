"""A memory bank: an embedding of each pretraining image, from the last times it was seen.

Wu, Xiong, Yu, Lin, Unsupervised Feature Learning via Non-Parametric Instance Discrimination, CVPR 2018.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from vicreg.augment.batch import Batch
from vicreg.io.section import Count, Positive, Probability, Section
from vicreg.nn.precision import full_precision
from vicreg.nn.pretext import classify


class MemoryBank(nn.Module):
    """Unit vectors `rows` (size, D), one for each image; drawn at random until the image is seen."""

    rows: Tensor

    def __init__(self, size: int, dimensions: int):
        super().__init__()
        self.register_buffer("rows", normalize(torch.randn(size, dimensions)))

    @torch.no_grad()
    def update(self, indices: Tensor, z: Tensor, momentum: float) -> None:
        """Move the rows at `indices` (N,), none twice, to momentum * row + (1 - momentum) * z, of length 1 again."""
        rows = torch.lerp(z.to(self.rows.dtype), self.rows[indices], momentum)
        self.rows.index_copy_(0, indices, normalize(rows))


class BankParams(Section):
    """temperature: divides the cosines; bank_momentum: of its rows.

    negatives: "all" other images, by a softmax, or how many are drawn for each image, by noise contrast.
    """

    temperature: Positive = 0.07
    bank_momentum: Probability = 0.5
    negatives: Literal["all"] | Count = "all"

    def draw(self, batch: Batch, size: int) -> dict[str, Tensor]:
        """The images' `indices` (N,) and, unless all are, the `negatives` (N, K) among `size` rows, never their own."""
        drawn = {"indices": batch.indices}
        if self.negatives != "all":
            others = (batch.rand(self.negatives) * (size - 1)).long()
            drawn["negatives"] = others + (others >= batch.indices.unsqueeze(1))
        return drawn

    def contrast(self, z: Tensor, rows: Tensor, drawn: dict[str, Tensor]) -> dict[str, Tensor]:
        """The loss of unit queries z (N, D) that are to find their own of `rows` (M, D), and how often they do."""
        if "negatives" in drawn:
            return noise_contrast(z, rows, drawn["indices"], drawn["negatives"], self.temperature)
        return softmax_contrast(z, rows, drawn["indices"], self.temperature)


@full_precision
def softmax_contrast(z: Tensor, rows: Tensor, indices: Tensor, temperature: float) -> dict[str, Tensor]:
    """Cross-entropy of the row at `indices` (N,) among all rows (M, D), by cosine / temperature (Wu et al., eq. 2)."""
    return classify(z @ rows.T / temperature, indices)


@full_precision
def noise_contrast(
    z: Tensor, rows: Tensor, indices: Tensor, negatives: Tensor, temperature: float
) -> dict[str, Tensor]:
    """-log h(own) - sum of log(1 - h(other)), h being one softmax over the own row and the K `negatives` (N, K).

    Misra, van der Maaten, Self-Supervised Learning of Pretext-Invariant Representations, CVPR 2020, equations 4 and 5;
    there the h of another row has a sum over the negatives alone below it. No constant is estimated.
    """
    candidates = rows[torch.cat([indices.unsqueeze(1), negatives], dim=1)]  # (N, 1 + K, D)
    log_h = ((candidates @ z.unsqueeze(2)).squeeze(2) / temperature).log_softmax(dim=1)
    others = torch.log(-torch.expm1(log_h[:, 1:].clamp_max(-1e-7)))  # log(1 - h)
    hits = log_h.detach().argmax(dim=1) == 0
    return {"loss": -(log_h[:, 0] + others.sum(dim=1)).mean(), "accuracy": hits.float().mean()}
