"""ResNet-50 as the VICReg paper uses it: torchvision's, on images enlarged to the size its weights expect."""

from typing import Annotated

from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import interpolate

from vicreg.io.section import Section
from vicreg.nn.backbone import Backbone
from vicreg.nn.staged import each_output


class ResNet50(Backbone):
    """Normalized images (N, 3, H, W) -> representations y (N, 2048)."""

    class Params(Section):
        """image_size: pixels of a side to which images are resized, bilinear."""

        image_size: Annotated[int, Field(ge=32, le=1024)] = 224

    num_features = 2048

    def __init__(self, params: Params, *, channels: int = 3):
        super().__init__(params)
        if channels != 3:
            raise ValueError(f"resnet50 sees 3 channels, not {channels}")
        from torchvision.models import resnet50  # costs seconds, and only this backbone needs it

        self.network, self.image_size = resnet50(), params.image_size
        self.network.fc = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.network(self.resized(x))

    def stages(self, x: Tensor) -> list[Tensor]:
        network = self.network
        x = network.maxpool(network.relu(network.bn1(network.conv1(self.resized(x)))))
        return each_output((network.layer1, network.layer2, network.layer3, network.layer4), x)

    def resized(self, x: Tensor) -> Tensor:
        """Return images (N, 3, image_size, image_size), as its weights were trained on."""
        size = (self.image_size, self.image_size)
        return interpolate(x, size, mode="bilinear", align_corners=False, antialias=True)
