"""Pretrained: weights that VICReg's authors pretrained on ImageNet, from a file or their address.

Files as https://github.com/facebookresearch/vicreg publishes them: a ResNet-50 alone, or a full checkpoint with the
projector 2048-8192-8192-8192. They are read without unpickling anything but tensors.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vicreg.io.section import PathOrUrl, Section
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pretrained(Method):
    """The published encoder, which normalizes images as for ImageNet, and the projector if the file has one."""

    class Params(Section):
        """weights: a .pth file or its https address; null leaves the row out."""

        weights: PathOrUrl | None = None

    trains = False
    projector: nn.Module | None

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        self.projector = None

    @classmethod
    def not_run(cls, params: Params) -> str | None:
        return None if params.weights else "not run: `methods.pretrained.weights` names no file"

    def initialize(self) -> None:
        """Read the published weights; raises ValueError for a file that holds others."""
        tensors = read(self.params.weights)
        try:
            self.encoder.backbone.network.load_state_dict(part(tensors, "backbone") or tensors)  # type: ignore[union-attr]
            self.build_projector(part(tensors, "projector"))
        except (RuntimeError, AttributeError, TypeError) as error:
            weights = self.params.weights
            raise ValueError(f"methods.pretrained.weights = {weights!r} does not fit this backbone: {error}") from error
        self.encoder.set_normalization(IMAGENET_MEAN, IMAGENET_STD)

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As torch has it, with the projector built as the weights have it."""
        self.build_projector(part(dict(state_dict), "projector"))
        return super().load_state_dict(state_dict, *args, **kwargs)

    def build_projector(self, tensors: dict[str, Tensor]) -> None:
        """The projector of these weights, by their shapes; none where there are none."""
        if matrices := [value for value in tensors.values() if value.ndim == 2]:
            self.projector = mlp(self.encoder.num_features, [len(matrix) for matrix in matrices])
            self.projector.load_state_dict(tensors)


def read(weights: str) -> dict[str, Tensor]:
    """Return the tensors of a .pth file or its https address by name; raises ValueError that says what to do."""
    try:
        if weights.startswith("https://"):
            content = torch.hub.load_state_dict_from_url(weights, map_location="cpu", weights_only=True)
        else:
            content = torch.load(Path(weights), map_location="cpu", weights_only=True)
        if not isinstance(content, dict):
            raise TypeError(f"it holds a {type(content).__name__}, not tensors by name")
        return content.get("model", content)
    except Exception as error:  # on foreign files torch raises errors of a dozen kinds
        raise ValueError(
            f"methods.pretrained.weights = {weights!r} cannot be read as weights: {error}\n"
            "Download the file by hand and name its path there, or set it to null to leave the row out."
        ) from error


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors below `name`, with `module.` as distributed training leaves it."""
    pattern = re.compile(rf"^(module\.)?{name}\.")
    return {pattern.sub("", key): value for key, value in tensors.items() if pattern.match(key)}
