"""The votes of the training images that are nearest by cosine, as shares."""

from collections.abc import Callable

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
        """The sums of votes by class, times a constant that keeps them finite and changes no order."""
        return self.votes(features, lambda similarity: ((similarity - 1) / self.settings["temperature"]).exp())

    def forward(self, features: Tensor) -> Tensor:
        return self.votes(features, lambda similarity: (similarity / self.settings["temperature"]).softmax(dim=1))

    def votes(self, features: Tensor, weigh: Callable[[Tensor], Tensor]) -> Tensor:
        """The weights (B, k) of the nearest by their similarities (B, k), summed by class."""
        votes = []
        for queries in normalize(features).split(BATCH):
            similarity, nearest = (queries @ self.bank.T).topk(self.settings["k"])
            voters = one_hot(self.labels[nearest], self.settings["num_classes"]).float()  # (B, k, C)
            votes.append(torch.einsum("bk,bkc->bc", weigh(similarity), voters))
        return torch.cat(votes)
