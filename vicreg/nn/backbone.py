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

    def __init__(self, params: Any):
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        raise NotImplementedError
