"""Batches of the pretraining images: they stay on the device, or stream from the disk where they do not fit.

Small images fit: CIFAR's 50,000 take 147 MiB as uint8, and no worker has to read, decode or copy them. The batches are
the same either way.
"""

from collections.abc import Iterator

import numpy as np
import psutil
import torch
from torch import Tensor

SHARE = 0.5  # of the device's free memory that images may take; the training needs the rest


class Loader:
    """Images by position, on the device.

    pixels: (M, H, W, 3) uint8, in memory or memory-mapped; positions: (N,) int64, which of them pretrain.
    placement: "device", "stream" (read from `pixels` for each batch), or "auto": on the device where they take at most
        half of its free memory.
    """

    def __init__(self, pixels: np.ndarray, positions: np.ndarray, device: torch.device, placement: str = "auto"):
        self.pixels, self.positions, self.device = pixels, positions, device
        size = len(positions) * pixels[0].nbytes
        if placement == "auto":
            placement = "device" if size <= SHARE * free_memory(device) else "stream"
        self.images: Tensor | None = None
        if placement == "device":
            self.images = torch.from_numpy(pixels[positions]).to(device).permute(0, 3, 1, 2).contiguous()

    def __len__(self) -> int:
        return len(self.positions)

    def batches(self, order: Tensor, batch_size: int, rows: slice) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield images (n, 3, H, W) and indices (n,) of these `rows` of each `batch_size` entries of `order` (N,).

        While the device works on a batch the next one is read, since copies out of pinned memory do not wait for it.
        """
        if self.images is not None:
            for batch in order.split(batch_size):
                yield self.images[batch[rows]], batch[rows]
            return
        host = order.cpu()  # the one wait of an epoch
        for batch, indices in zip(host.split(batch_size), order.split(batch_size), strict=True):
            yield self.read(batch[rows]), indices[rows]

    def read(self, indices: Tensor) -> Tensor:
        """The images (n, 3, H, W) at these indices, from `pixels`."""
        images = torch.from_numpy(self.pixels[self.positions[indices.numpy()]])
        if self.device.type == "cuda":
            images = images.pin_memory()
        return images.to(self.device, non_blocking=True).permute(0, 3, 1, 2).contiguous()


def free_memory(device: torch.device) -> int:
    """Bytes that are free on the device, or in the machine's memory."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
