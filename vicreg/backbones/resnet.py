"""ResNets of 18, 34, 50 or 101 layers, or of other blocks, version 1 or 2, with stems for small and for large images.

Version 1: He et al., Deep Residual Learning for Image Recognition, CVPR 2016; layers and names as in torchvision, with
the stride in a bottleneck's 3x3 convolution. Version 2: He et al., Identity Mappings in Deep Residual Networks, ECCV
2016, with batch norm and ReLU before each convolution and, at the end, before pooling; without that last ReLU it is the
"(-)" of Kolesnikov, Zhai, Beyer, CVPR 2019.
"""

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from vicreg.io.section import Count
from vicreg.nn.staged import StagedBackbone, Stem, convolution, each_output, first_layers, norm_relu

BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}  # of each stage, by depth
EXPANSION = 4  # a bottleneck's outputs, in widths


def downsample(inputs: int, outputs: int, stride: int) -> nn.Module | None:
    """A 1x1 convolution with batch norm, for a shortcut where the shape changes; else None."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Version 1: (N, inputs, H, W) -> (N, width, H / stride, W / stride), by two 3x3 convolutions."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        self.conv1, self.bn1 = convolution(inputs, width, 3, stride), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = convolution(width, width, 3), nn.BatchNorm2d(width)
        self.downsample = downsample(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + identity)


class Bottleneck(nn.Module):
    """Version 1: (N, inputs, H, W) -> (N, 4 * width, H / stride, W / stride), by convolutions 1x1, 3x3 and 1x1."""

    def __init__(self, inputs: int, width: int, stride: int):
        super().__init__()
        outputs = EXPANSION * width
        self.conv1, self.bn1 = convolution(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = convolution(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = convolution(width, outputs, 1), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + identity)


class PreActivation(nn.Module):
    """Version 2 of a block; where the shape changes, the shortcut is a 1x1 convolution of the activated input."""

    def __init__(self, inputs: int, outputs: int, stride: int, *convolutions: nn.Conv2d):
        super().__init__()
        first, *others = convolutions
        self.activation, self.residual = norm_relu(inputs), nn.Sequential(first)
        for conv in others:
            self.residual.extend([*norm_relu(conv.in_channels), conv])
        same = stride == 1 and inputs == outputs
        self.downsample = None if same else convolution(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        activated = self.activation(x)
        identity = x if self.downsample is None else self.downsample(activated)
        return self.residual(activated) + identity


def basic(inputs: int, width: int, stride: int) -> PreActivation:
    """Version 2 of BasicBlock."""
    return PreActivation(inputs, width, stride, convolution(inputs, width, 3, stride), convolution(width, width, 3))


def bottleneck(inputs: int, width: int, stride: int) -> PreActivation:
    """Version 2 of Bottleneck."""
    first, last = convolution(inputs, width, 1), convolution(width, EXPANSION * width, 1)
    return PreActivation(inputs, EXPANSION * width, stride, first, convolution(width, width, 3, stride), last)


class ResNet(StagedBackbone):
    """Normalized images (N, 3, H, W) -> representations y: (N, 8 * width), of depth 50 and 101 (N, 32 * width).

    With other numbers of `blocks` each stage still has twice the channels of the one before.
    """

    class Params(StagedBackbone.Params):
        """width: channels of the first stage, 64 in the papers; size: see `StagedBackbone`.

        blocks: of each stage, instead of the depth's, which then only chooses their kind.
        relu: whether version 2 ends in a ReLU; stem: cifar (3x3, stride 1), strided (3x3, stride 2) or imagenet (7x7,
        pool).
        """

        depth: Literal[18, 34, 50, 101] = 18
        blocks: Annotated[list[Count], Field(min_length=1, max_length=6)] | None = None
        version: Literal[1, 2] = 1
        relu: bool = True
        stem: Stem = "cifar"

        @model_validator(mode="after")
        def version_1_has_its_relu(self) -> Self:
            if self.version == 1 and not self.relu:
                raise ValueError("`relu: false` needs `version: 2`; in version 1 the last ReLU is part of a block")
            return self

    def __init__(self, params: Params, *, channels: int = 3):
        super().__init__(params)
        width, one = params.width, params.version == 1
        self.conv1, self.maxpool = first_layers(channels, width, params.stem)
        self.bn1 = nn.BatchNorm2d(width) if one else nn.Identity()
        self.relu = nn.ReLU(inplace=True) if one else nn.Identity()
        block: Callable[[int, int, int], nn.Module]
        if params.depth < 50:
            block, expansion = BasicBlock if one else basic, 1
        else:
            block, expansion = Bottleneck if one else bottleneck, EXPANSION
        counts, inputs = params.blocks or BLOCKS[params.depth], width
        self.names = [f"layer{stage + 1}" for stage in range(len(counts))]
        for stage, count in enumerate(counts):
            blocks = []
            for i in range(count):
                blocks.append(block(inputs, width * 2**stage, 2 if stage and i == 0 else 1))
                inputs = expansion * width * 2**stage
            self.add_module(self.names[stage], nn.Sequential(*blocks))
        self.norm = nn.Identity() if one else norm_relu(inputs, params.relu)
        self.finish(inputs)

    def stages(self, x: Tensor) -> list[Tensor]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        *maps, last = each_output(map(self.get_submodule, self.names), x)
        return [*maps, self.norm(last)]
