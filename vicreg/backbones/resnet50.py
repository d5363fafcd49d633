"""ResNet-50 as the VICReg paper uses it: torchvision's, on images enlarged to the size its weights expect."""

from torch import Tensor, nn
from torch.nn.functional import interpolate


class ResNet50(nn.Module):
    """Normalised images (N, 3, H, W) -> representations y (N, 2048)."""

    dimension = 2048

    def __init__(self, image_size: int):
        super().__init__()
        from torchvision.models import resnet50  # costs seconds, and only this backbone needs it

        self.network, self.image_size = resnet50(), image_size
        self.network.fc = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        size = (self.image_size, self.image_size)
        return self.network(interpolate(x, size, mode="bilinear", align_corners=False, antialias=True))


def build(*, width: int, image_size: int = 224) -> nn.Module:
    """Return the network; `width` is that of narrow studies, and not used: the published weights fix the width."""
    return ResNet50(image_size)
