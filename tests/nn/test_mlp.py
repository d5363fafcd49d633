"""Projectors have the asked depth and width."""

import pytest
import torch
from torch import nn

from vicreg.nn.mlp import mlp


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_an_mlp_has_the_asked_depth_and_width(depth: int) -> None:
    head = mlp(12, 20, depth)
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == [20] * depth
    assert [layer.bias is not None for layer in linear] == [True] * (depth - 1) + [False]
    assert sum(isinstance(layer, nn.BatchNorm1d) for layer in head) == depth - 1
    assert head(torch.randn(4, 12)).shape == (4, 20)
