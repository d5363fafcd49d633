"""Published: weights that VICReg's authors pretrained on ImageNet, from a file or their address.

Files as https://github.com/facebookresearch/vicreg publishes them: a ResNet-50 alone, or a full checkpoint with the
projector 2048-8192-8192-8192. They are read without unpickling anything but tensors.
"""

import pickle
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from vicreg.nn.encoder import Encoder
from vicreg.nn.mlp import mlp

LEARNS = False
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


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
    except (OSError, RuntimeError, TypeError, pickle.UnpicklingError, EOFError) as error:
        raise ValueError(
            f"pretrained.weights = {weights!r} cannot be read as weights: {error}\n"
            "Download the file by hand and name its path in `pretrained.weights`, or set it to null to leave it out."
        ) from error


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors below `name`, with `module.` as distributed training leaves it."""
    pattern = re.compile(rf"^(module\.)?{name}\.")
    return {pattern.sub("", key): value for key, value in tensors.items() if pattern.match(key)}


class Published(nn.Module):
    def __init__(self, encoder: nn.Module, head: nn.Module | None):
        super().__init__()
        self.encoder, self.projector = encoder, head


def build(encoder: Encoder, *, width: int, weights: str) -> nn.Module:
    """Return a module that holds `encoder` with the published weights, and their projector where the file has one.

    The encoder then normalises images by ImageNet's statistics. `width` is that of heads, and not needed.
    """
    tensors = read(weights)
    try:
        network: nn.Module = encoder.backbone.network  # type: ignore[assignment]
        network.load_state_dict(part(tensors, "backbone") or tensors)
        head = rebuilt_projector(part(tensors, "projector"), encoder.dimension)
    except (RuntimeError, AttributeError) as error:
        raise ValueError(f"pretrained.weights = {weights!r} does not hold this backbone's weights: {error}") from error
    encoder.normalise_by(IMAGENET_MEAN, IMAGENET_STD)
    return Published(encoder, head)


def rebuilt_projector(tensors: dict[str, Tensor], inputs: int) -> nn.Module | None:
    if not tensors:
        return None
    matrices = [value for value in tensors.values() if value.ndim == 2]
    head = mlp(inputs, matrices[0].shape[0], len(matrices))
    head.load_state_dict(tensors)
    return head
