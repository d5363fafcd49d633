"""A RevNet like ResNet-18: four stages of two units, each of which has an inverse.

Gomez et al., The Reversible Residual Network, NeurIPS 2017. A unit passes half of the channels on unchanged: two of
ours are one of the paper's. Gradients are autograd's, which keeps every activation, so this saves no memory. Between
stages, as in Kolesnikov, Zhai, Beyer, CVPR 2019, are pooling and channels of zeros, without parameters and without an
inverse.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from vicreg.io.section import MAX_INT
from vicreg.nn.staged import StagedBackbone, Stem, convolution, each_output, first_layers, norm_relu


class ReversibleUnit(nn.Module):
    """(N, C, H, W), halves [x1, x2] of the channels -> [x2, x1 + F(x2)], of the same shape."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        layers = [*norm_relu(half), convolution(half, half, 3), *norm_relu(half), convolution(half, half, 3)]
        self.residual = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x1, x2 = x.chunk(2, dim=1)
        return torch.cat([x2, x1 + self.residual(x2)], dim=1)

    def inverse(self, y: Tensor) -> Tensor:
        """The input whose output is y."""
        x2, y2 = y.chunk(2, dim=1)
        return torch.cat([y2 - self.residual(x2), x2], dim=1)


class Transition(nn.Module):
    """(N, C, H, W) -> (N, 2C, H / 2, W / 2): the mean of 2x2 pixels between C / 2 channels of zeros on each side."""

    def forward(self, x: Tensor) -> Tensor:
        zeros = x.shape[1] // 2
        return pad(avg_pool2d(x, 2, ceil_mode=True), (0, 0, 0, 0, zeros, zeros))


class RevNet(StagedBackbone):
    """Normalized images (N, 3, H, W) -> representations y (N, 8 * width)."""

    class Params(StagedBackbone.Params):
        """width: channels of the first stage, an even number; size: see `StagedBackbone`.

        relu: whether the last batch norm is followed by a ReLU; stem: as of `resnet`.
        """

        width: Annotated[int, Field(ge=2, le=MAX_INT, multiple_of=2)]
        relu: bool = True
        stem: Stem = "cifar"

    def __init__(self, params: Params, *, channels: int = 3):
        super().__init__(params)
        self.conv1, self.maxpool = first_layers(channels, params.width, params.stem)
        layers = []
        for stage in range(4):
            width = params.width * 2**stage
            transition = [Transition()] if stage else []
            layers.append(nn.Sequential(*transition, ReversibleUnit(width), ReversibleUnit(width)))
        layers[-1].append(norm_relu(width, params.relu))
        self.layers = nn.ModuleList(layers)
        self.finish(width)

    def stages(self, x: Tensor) -> list[Tensor]:
        return each_output(self.layers, self.maxpool(self.conv1(x)))
