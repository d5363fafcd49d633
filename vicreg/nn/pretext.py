"""Pretext tasks: labels that cost nothing, and how often they are guessed."""

from torch import Tensor
from torch.nn.functional import cross_entropy

from vicreg.nn.precision import full_precision


@full_precision
def classify(logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The cross-entropy of logits (N, C) and labels (N,) int64, and the share of labels that have the largest logit."""
    hits = logits.detach().argmax(dim=1) == labels
    return {"loss": cross_entropy(logits, labels), "accuracy": hits.float().mean()}
