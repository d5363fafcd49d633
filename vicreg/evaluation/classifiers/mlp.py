"""A hidden layer with ReLU on standardized representations, a linear layer, and the softmax of its scores."""

import torch
from torch import Tensor
from torch.nn.functional import relu

from vicreg.evaluation.classifier import Classifier


class MLPClassifier(Classifier):
    """softmax(weight2 relu(weight1 ((y - mean) scale) + bias1) + bias2).

    mean, scale (D,); weight1 (H, D), bias1 (H,), weight2 (C, H), bias2 (C,).
    """

    mean: Tensor
    scale: Tensor
    weight1: Tensor
    bias1: Tensor
    weight2: Tensor
    bias2: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, **layers: Tensor):
        super().__init__({"mean": mean, "scale": scale, **layers})

    def scores(self, features: Tensor) -> Tensor:
        x = (features - self.mean) * self.scale
        return scores(x, self.weight1, self.bias1, self.weight2, self.bias2)


def scores(x: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor) -> Tensor:
    """The scores (N, C) of standardized representations x (N, D)."""
    return torch.addmm(bias2, relu(torch.addmm(bias1, x, weight1.T)), weight2.T)
