"""A linear layer on standardised representations, and the softmax of its scores."""

from typing import Any

import torch
from torch import Tensor, nn


class Head(nn.Module):
    """softmax(weight ((y - mean) scale) + bias): mean, scale (D,), weight (C, D), bias (C,), -inf for no such class."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor):
        super().__init__()
        for name, tensor in {"mean": mean, "scale": scale, "weight": weight, "bias": bias}.items():
            self.register_buffer(name, tensor.detach())
        self.settings: dict[str, Any] = {}

    def scores(self, y: Tensor) -> Tensor:
        return torch.addmm(self.bias, (y - self.mean) * self.scale, self.weight.T)

    def forward(self, y: Tensor) -> Tensor:
        return self.scores(y).softmax(dim=1)
