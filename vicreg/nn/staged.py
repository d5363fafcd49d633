"""What backbones of several stages share: convolutions, the first layer, pooling, and a separate size of y."""

from collections.abc import Iterable
from typing import Any, Literal

from torch import Tensor, nn

from vicreg.io.section import Count, Section
from vicreg.nn.backbone import Backbone

Stem = Literal["cifar", "strided", "imagenet"]


class StagedBackbone(Backbone):
    """A backbone that averages the last of its `stages` over the pixels; then, if it has a `size`, a linear layer."""

    class Params(Section):
        """width: channels of the first stage. size: of representations, by a linear layer; null: as many as channels.

        A size apart from the width as in Kolesnikov, Zhai, Beyer, Revisiting Self-Supervised Visual Representation
        Learning, CVPR 2019.
        """

        width: Count
        size: Count | None = None

    def finish(self, features: int) -> None:
        """To be called when all other layers are there; features: channels of what `pool` returns.

        Draws the weights of convolutions as in He et al., Delving Deep into Rectifiers, ICCV 2015 (fan-out).
        """
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        size: int | None = self.params.size
        self.num_features = size or features
        self.linear: nn.Module = nn.Linear(features, size) if size else nn.Identity()

    def pool(self, x: Tensor) -> Tensor:
        """The last stage's map (N, C, H, W) -> (N, C)."""
        return x.mean(dim=(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.pool(self.stages(x)[-1]))


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Without a bias, and padded so that stride 1 keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def first_layers(channels: int, width: int, stem: Stem) -> tuple[nn.Conv2d, nn.Module]:
    """The first convolution and the pooling after it: 3x3 and none for cifar, 7x7 and 3x3, stride 2, for imagenet.

    The one for CIFAR is SimCLR's: Chen et al., ICML 2020, appendix B.9. The strided one has stride 2: faster.
    """
    if stem != "imagenet":
        return convolution(channels, width, 3, 2 if stem == "strided" else 1), nn.Identity()
    return convolution(channels, width, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1)


def norm_relu(channels: int, relu: bool = True) -> nn.Sequential:
    """Batch norm and, unless `relu` is false, a ReLU."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(inplace=True) if relu else nn.Identity())


def each_output(layers: Iterable[Any], x: Tensor) -> list[Tensor]:
    """The outputs of layers that follow each other, first to last."""
    outputs = []
    for layer in layers:
        x = layer(x)
        outputs.append(x)
    return outputs
