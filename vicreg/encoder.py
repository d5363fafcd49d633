"""An encoder is what the study compares: a backbone with its normalisation of images, and a file that holds both."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from vicreg import atomic, lookup
from vicreg.projectors import mlp


class Encoder(nn.Module):
    """Images (N, 3, H, W), uint8 or float in [0, 1] -> representations y (N, dimension).

    mean, std: (3,) of each channel in [0, 1], by which images are normalised, in training and evaluation alike.
    """

    mean: Tensor
    std: Tensor
    dimension: int

    def __init__(self, backbone: nn.Module, mean: Sequence[float] = (0, 0, 0), std: Sequence[float] = (1, 1, 1)):
        super().__init__()
        self.backbone, self.dimension = backbone, int(backbone.dimension)  # type: ignore[arg-type]
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.ones(3))
        self.normalise_by(mean, std)

    def normalise_by(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean.copy_(torch.tensor(mean))
        self.std.copy_(torch.tensor(std))

    def forward(self, images: Tensor) -> Tensor:
        x = images.float() / 255 if images.dtype == torch.uint8 else images
        x = (x - self.mean.view(3, 1, 1)) / self.std.view(3, 1, 1)
        return self.backbone(x.contiguous(memory_format=torch.channels_last))


def channel_statistics(pixels: np.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each channel of images (N, H, W, 3) uint8, in [0, 1]."""
    values = np.arange(256) / 255
    counts = np.stack([np.bincount(pixels[..., channel].ravel(), minlength=256) for channel in range(3)])
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ values
    return mean.tolist(), np.sqrt(shares @ values**2 - mean**2).tolist()


@torch.inference_mode()
def represent(encoder: nn.Module, pixels: np.ndarray, device: torch.device, batch_size: int = 1000) -> np.ndarray:
    """Frozen representations (N, D) float32 of images (N, H, W, 3) uint8: eval mode, float32, no augmentation."""
    encoder = encoder.to(device).to(memory_format=torch.channels_last).eval()
    batches = torch.from_numpy(pixels).split(batch_size)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # a GPU would round to 10 bits in convolutions
        parts = [encoder(batch.to(device).permute(0, 3, 1, 2)).float().cpu() for batch in batches]
    return torch.cat(parts).numpy()


def save(path: Path, method: Any, description: dict[str, Any]) -> None:
    """Write the encoder of `method`, and its projector if it has one, as safetensors.

    description: what `load` needs to build both again, `backbone` and its `parameters`, and what else should be known.
    """
    head = getattr(method, "projector", None)
    layers = head.modules() if head is not None else ()
    widths = [layer.out_features for layer in layers if isinstance(layer, nn.Linear)]
    tensors = {f"encoder.{key}": value for key, value in method.encoder.state_dict().items()}
    if head is not None:
        tensors |= {f"projector.{key}": value for key, value in head.state_dict().items()}
    content = {"description": json.dumps({**description, "projector": widths}, sort_keys=True)}
    with atomic.writing(path) as stream:
        stream.write(to_bytes({key: value.detach().cpu().contiguous() for key, value in tensors.items()}, content))


def save_not_run(path: Path, reason: str) -> None:
    """Write a file without weights that says why this encoder does not take part."""
    with atomic.writing(path) as stream:
        stream.write(to_bytes({}, {"description": json.dumps({"not_run": reason})}))


def describe(path: Path) -> dict[str, Any]:
    """What `save` or `save_not_run` was told; raises ValueError for a file that neither wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["description"])
    except (SafetensorError, TypeError, KeyError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is not an encoder of this project ({error}): run `dvc repro pretrain` again"
        ) from error


def load(path: Path) -> Encoder:
    """Return the encoder in the file at `path`; raises ValueError for any other file."""
    description = describe(path)
    encoder = Encoder(lookup.member("backbones", description["backbone"]).build(**description["parameters"]))
    return fill(encoder, "encoder", path)


def load_projector(path: Path, inputs: int) -> nn.Module | None:
    """Return the projector (N, inputs) -> (N, D) in the file at `path`, None where it holds none; raises ValueError."""
    widths = describe(path)["projector"]
    return fill(mlp(inputs, widths[0], len(widths)), "projector", path) if widths else None


Part = TypeVar("Part", bound=nn.Module)


def fill(module: Part, name: str, path: Path) -> Part:
    """Return `module` with the weights that the file at `path` holds under `name`."""
    try:
        tensors = {key.partition(".")[2]: value for key, value in load_file(path).items() if key.startswith(f"{name}.")}
        module.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        raise ValueError(f"the {name} in {path} is not what the file describes ({error}): pretrain again") from error
    return module
