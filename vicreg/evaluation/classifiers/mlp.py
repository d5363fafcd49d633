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
        hidden = relu(torch.addmm(self.bias1, (features - self.mean) * self.scale, self.weight1.T))
        return torch.addmm(self.bias2, hidden, self.weight2.T)
