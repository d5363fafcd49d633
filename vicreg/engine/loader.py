"""Feeding: images stay on the device, or stream to it where they do not fit; the batches are the same.

Small images fit: CIFAR's 50,000 take 147 MiB as uint8, and no worker has to read, decode or copy them.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

SHARE = 0.5  # of the device's free memory that images may take; the training needs the rest


def place(images: Tensor, device: torch.device, memory: str) -> Tensor:
    """Return images (N, 3, H, W) uint8 on the device, or in host memory to stream from.

    memory: "device", "host", or "auto": on the device where they take at most half of its free memory.
    """
    if memory == "auto":
        room = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else float("inf")
        memory = "device" if images.numel() <= SHARE * room else "host"
    return images.to(device).contiguous() if memory == "device" else images.contiguous()


def batches(
    images: Tensor, order: Tensor, batch_size: int, device: torch.device, share: slice = slice(None)
) -> Iterator[Tensor]:
    """Yield the images of each `batch_size` entries of `order` (N,), or this `share` of each batch, on the device.

    From host memory, a batch is gathered while the device still works on the one before, since copies out of pinned
    memory do not wait for it.
    """
    if images.device.type == device.type:  # "cuda" and "cuda:0" are the same place, and not equal
        for part in order.split(batch_size):
            yield images[part[share]]
        return
    for part in order.cpu().split(batch_size):  # the one wait of an epoch
        gathered = images[part[share]]
        if device.type == "cuda":
            gathered = gathered.pin_memory()
        yield gathered.to(device, non_blocking=True)
