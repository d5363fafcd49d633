"""Multi-layer perceptrons behind a backbone, where the loss lives; thrown away after pretraining."""

from torch import nn


def mlp(inputs: int, width: int, depth: int) -> nn.Sequential:
    """An MLP of `depth` linear layers (N, inputs) -> (N, width), batch norm and ReLU after each but the last."""
    layers: list[nn.Module] = []
    for _ in range(depth - 1):
        layers += [nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.ReLU(inplace=True)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, width, bias=False))
