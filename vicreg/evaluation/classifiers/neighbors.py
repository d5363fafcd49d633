"""The votes of the training images that are nearest by cosine, as shares."""

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from vicreg.evaluation.classifier import Classifier

BATCH = 1000  # queries that are held against all training images at once


class NeighborsClassifier(Classifier):
    """The k nearest vote by exp(similarity / temperature): bank (N, D) of length 1 each, their labels (N,) int64."""

    bank: Tensor
    labels: Tensor

    def __init__(self, bank: Tensor, labels: Tensor, num_classes: int, k: int, temperature: float):
        super().__init__({"bank": bank, "labels": labels}, num_classes=num_classes, k=k, temperature=temperature)

    def scores(self, features: Tensor) -> Tensor:
        """The shares (N, C) of the votes that each class has."""
        return torch.cat([self.shares(queries) for queries in normalize(features).split(BATCH)])

    forward = scores

    def shares(self, queries: Tensor) -> Tensor:
        """Return each class's share (B, C) of the votes for some normalized features (B, D)."""
        similarity, nearest = (queries @ self.bank.T).topk(self.settings["k"])
        voters = one_hot(self.labels[nearest], self.settings["num_classes"]).float()  # (B, k, C)
        return torch.einsum("bk,bkc->bc", (similarity / self.settings["temperature"]).softmax(dim=1), voters)
