"""An encoder is what the study compares: a backbone with its normalization of images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from vicreg.io.weights import bits


class Encoder(nn.Module):
    """Images (N, 3, H, W), uint8 or float in [0, 1] -> representations y (N, num_features).

    mean, std: (3,) of each channel in [0, 1], by which images are normalized, in training and evaluation alike.
    """

    mean: Tensor
    std: Tensor
    num_features: int

    def __init__(self, backbone: nn.Module, mean: Sequence[float] = (0, 0, 0), std: Sequence[float] = (1, 1, 1)):
        super().__init__()
        self.backbone, self.num_features = backbone, int(backbone.num_features)  # type: ignore[arg-type]
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.ones(3))
        self.set_normalization(mean, std)

    def set_normalization(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set the channels' mean and standard deviation, of pixels in [0, 1]."""
        self.mean.copy_(torch.tensor(mean))
        self.std.copy_(torch.tensor(std))

    def forward(self, images: Tensor) -> Tensor:
        x = images.float() / 255 if images.dtype == torch.uint8 else images
        return self.backbone(self.normalize(x).contiguous(memory_format=torch.channels_last))

    def normalize(self, images: Tensor) -> Tensor:
        """Images, or parts of them, (..., 3, H, W) in [0, 1] as the backbone sees them."""
        return (images - self.mean.view(3, 1, 1)) / self.std.view(3, 1, 1)


def channel_statistics(
    pixels: np.ndarray, positions: np.ndarray, chunk: int = 10_000
) -> tuple[list[float], list[float]]:
    """Mean and standard deviation, in [0, 1], of each channel of the images at `positions` of (M, H, W, 3) uint8."""
    counts = np.zeros((3, 256), np.int64)
    for start in range(0, len(positions), chunk):
        part = pixels[positions[start : start + chunk]]
        counts += np.stack([np.bincount(part[..., channel].ravel(), minlength=256) for channel in range(3)])
    values, shares = np.arange(256) / 255, counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ values
    return mean.tolist(), np.sqrt(shares @ values**2 - mean**2).tolist()


@contextmanager
def assert_frozen(module: nn.Module) -> Iterator[None]:
    """Raise RuntimeError where the block inside changes a weight or a batch-norm statistic of `module`."""
    before = {name: bits(tensor).clone() for name, tensor in module.state_dict().items()}
    yield
    after = {name: bits(tensor) for name, tensor in module.state_dict().items()}
    same = {name for name in before.keys() & after.keys() if torch.equal(before[name], after[name])}
    changed = sorted((before.keys() | after.keys()) - same)
    if changed:
        raise RuntimeError(
            f"the encoder changed while it was frozen, in {len(changed)} of {len(before)} tensors: "
            f"{', '.join(changed[:5])}{', ...' if len(changed) > 5 else ''}. Its representations are not those of one "
            "encoder: look for a layer that learns in evaluation mode."
        )


def check_finite(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (N, D) as they are; raises ValueError where a number in them is NaN or infinite."""
    bad = int((~np.isfinite(vectors).all(axis=1)).sum())
    if bad:
        raise ValueError(
            f"{bad:,} of {len(vectors):,} representations are not finite: the weights diverged. Pretrain again with a "
            "lower `optimizer.base_lr`, a longer `schedule.warmup` or `precision: float32`."
        )
    return vectors


@torch.inference_mode()
def extract_features(
    encoder: nn.Module,
    pixels: np.ndarray,
    device: torch.device,
    *,
    positions: np.ndarray | None = None,
    batch_size: int = 1000,
) -> np.ndarray:
    """Frozen representations (N, D) float32 of images (M, H, W, 3) uint8: eval mode, float32, no augmentation.

    positions: (N,) of the images to represent, of which a batch is in memory at a time; all by default.
    Raises RuntimeError where that changed the encoder, ValueError where a representation is not finite.
    """
    positions, features = np.arange(len(pixels)) if positions is None else positions, []
    with assert_frozen(encoder):
        encoder = encoder.to(device).to(memory_format=torch.channels_last).eval()
        for start in range(0, len(positions), batch_size):
            batch = torch.from_numpy(pixels[positions[start : start + batch_size]]).to(device).permute(0, 3, 1, 2)
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # else GPUs round convolutions to 10 bits
                features.append(encoder(batch).float().cpu())
    return check_finite(torch.cat(features).numpy())
