"""Projectors and predictors have the asked layers."""

import pytest
import torch
from torch import nn

from vicreg.nn.mlp import mlp


def kinds(head: nn.Sequential) -> str:
    return " ".join({"Linear": "L", "BatchNorm1d": "N", "ReLU": "R"}[type(layer).__name__] for layer in head)


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_an_mlp_has_the_asked_depth_and_widths(depth: int) -> None:
    widths = [20, 24, 28, 32][:depth]
    head = mlp(12, widths)
    linear = [layer for layer in head if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linear] == widths
    assert [layer.bias is not None for layer in linear] == [True] * (depth - 1) + [False]
    assert head(torch.randn(4, 12)).shape == (4, widths[-1])
    assert kinds(head) == "L N R " * (depth - 1) + "L"


def test_norms_and_biases_are_a_choice() -> None:
    assert kinds(mlp(3, [4, 5], norm=False)) == "L R L"
    head = mlp(3, [4, 5], bias=False, output_bias=True, output_norm=True)
    assert kinds(head) == "L N R L N"
    assert head[0].bias is None and head[3].bias is not None
    assert head[1].weight is not None and head[4].weight is None  # the last norm has no affine map
