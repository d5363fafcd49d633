"""The contract of a backbone: the network that is kept."""

from typing import Any, ClassVar

from torch import Tensor, nn

from vicreg.io.section import Section


class Backbone(nn.Module):
    """Normalized images (N, 3, H, W) -> representations y (N, num_features).

    A member of `vicreg/backbones/` is one subclass in one file; its weights are drawn from torch's global generator,
    which the caller seeds, when it is built from its `Params`, its section below `backbones:` in params.yaml.
    """

    Params: ClassVar[type[Section]] = Section
    num_features: int

    def __init__(self, params: Any, *, channels: int = 3):
        """channels: of the images, 3 unless a method takes colors apart."""
        super().__init__()
        self.params = params

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def stages(self, x: Tensor) -> list[Tensor]:
        """The maps (N, C, H, W) after each stage, first to last, before pooling; none where there are no stages."""
        return []
