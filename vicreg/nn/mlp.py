"""Multi-layer perceptrons behind a backbone, where the loss lives; thrown away after pretraining."""

from collections.abc import Sequence

from torch import nn


def mlp(
    inputs: int,
    widths: Sequence[int],
    *,
    norm: bool = True,
    bias: bool = True,
    output_bias: bool = False,
    output_norm: bool = False,
) -> nn.Sequential:
    """An MLP (N, inputs) -> (N, widths[-1]) with a linear layer for each of `widths`, and ReLU between them.

    norm: batch norm after each layer but the last. bias: whether these layers have one; output_bias: the last one.
    output_norm: batch norm without affine map after the last layer.
    """
    layers: list[nn.Module] = []
    *hidden, outputs = widths
    for width in hidden:
        layers += [nn.Linear(inputs, width, bias=bias), *([nn.BatchNorm1d(width)] * norm), nn.ReLU(inplace=True)]
        inputs = width
    layers.append(nn.Linear(inputs, outputs, bias=output_bias))
    return nn.Sequential(*layers, *([nn.BatchNorm1d(outputs, affine=False)] if output_norm else []))
