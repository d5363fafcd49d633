"""A linear layer on standardized representations, and the softmax of its scores."""

import torch
from torch import Tensor

from vicreg.evaluation.classifier import Classifier


class LinearClassifier(Classifier):
    """softmax(weight ((y - mean) scale) + bias): mean, scale (D,), weight (C, D), bias (C,), -inf for no such class."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, mean: Tensor, scale: Tensor, weight: Tensor, bias: Tensor):
        super().__init__({"mean": mean, "scale": scale, "weight": weight, "bias": bias})

    def scores(self, features: Tensor) -> Tensor:
        return torch.addmm(self.bias, (features - self.mean) * self.scale, self.weight.T)
