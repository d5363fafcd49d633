"""VGG-19 with batch norm: five blocks of 3x3 convolutions with max-pooling after each.

Simonyan, Zisserman, Very Deep Convolutional Networks for Large-Scale Image Recognition, ICLR 2015; batch norm and
stages as in Kolesnikov, Zhai, Beyer, CVPR 2019. The layers that classify are left out.
"""

from torch import Tensor, nn

from vicreg.nn.staged import StagedBackbone, convolution, each_output, norm_relu

BLOCKS = ((2, 1), (2, 2), (4, 4), (4, 8), (4, 8))  # convolutions, and their channels in widths
FULLY_CONNECTED = 64  # channels of each layer after the pooling, in widths


class VGG19(StagedBackbone):
    """Normalized images (N, 3, H, W) -> representations y: (N, 8 * width), or (N, 64 * width) if fully connected.

    Stages are the last four blocks, each before its pooling: sides of H / 2 to H / 16.
    """

    class Params(StagedBackbone.Params):
        """width: channels of the first block, 64 in the paper; size: see `StagedBackbone`.

        fully_connected: whether two layers of 64 * width with batch norm follow the pooling.
        """

        fully_connected: bool = False

    def __init__(self, params: Params, *, channels: int = 3):
        super().__init__(params)
        self.blocks, inputs = nn.ModuleList(), channels
        self.maxpool = nn.MaxPool2d(2, ceil_mode=True)  # so that images smaller than 32 pixels pass
        for count, widths in BLOCKS:
            block = nn.Sequential(self.maxpool) if self.blocks else nn.Sequential()
            for _ in range(count):
                outputs = widths * params.width
                block.extend([convolution(inputs, outputs, 3), *norm_relu(outputs)])
                inputs = outputs
            self.blocks.append(block)
        self.fully_connected = nn.Sequential()  # of a map of one pixel, so that all batch norms are BatchNorm2d
        for _ in range(2 if params.fully_connected else 0):
            outputs = FULLY_CONNECTED * params.width
            self.fully_connected.extend([convolution(inputs, outputs, 1), *norm_relu(outputs)])
            inputs = outputs
        self.finish(inputs)

    def stages(self, x: Tensor) -> list[Tensor]:
        return each_output(self.blocks, x)[1:]

    def pool(self, x: Tensor) -> Tensor:
        return self.fully_connected(self.maxpool(x).mean(dim=(2, 3), keepdim=True)).flatten(1)
