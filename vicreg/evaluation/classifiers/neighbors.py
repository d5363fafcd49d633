"""The votes of the training images that are nearest by cosine, as shares."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, one_hot

BATCH = 1000  # queries that are held against all training images at once


class Head(nn.Module):
    """The k nearest vote by exp(similarity / temperature): bank (N, D) of length 1 each, their labels (N,) int64."""

    bank: Tensor
    labels: Tensor

    def __init__(self, bank: Tensor, labels: Tensor, classes: int, k: int, temperature: float):
        super().__init__()
        self.register_buffer("bank", bank.detach())
        self.register_buffer("labels", labels)
        self.settings = {"classes": classes, "k": k, "temperature": temperature}

    def scores(self, y: Tensor) -> Tensor:
        """The sums of votes by class, times a constant that keeps them finite and changes no order."""
        return self.votes(y, lambda similarity: ((similarity - 1) / self.settings["temperature"]).exp())

    def forward(self, y: Tensor) -> Tensor:
        return self.votes(y, lambda similarity: (similarity / self.settings["temperature"]).softmax(dim=1))

    def votes(self, y: Tensor, weigh: Callable[[Tensor], Tensor]) -> Tensor:
        """The weights (B, k) of the nearest by their similarities (B, k), summed by class."""
        counted = []
        for queries in normalize(y).split(BATCH):
            similarity, nearest = (queries @ self.bank.T).topk(int(self.settings["k"]))
            voters = one_hot(self.labels[nearest], int(self.settings["classes"])).float()  # (B, k, C)
            counted.append(torch.einsum("bk,bkc->bc", weigh(similarity), voters))
        return torch.cat(counted)
