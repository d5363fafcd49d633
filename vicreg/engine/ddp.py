"""A method in several processes: gradients averaged, and batch norm over the batches of all of them."""

from inspect import signature
from typing import Any

import torch
from torch import nn

from vicreg.engine.batch_norm import convert_sync_batchnorm
from vicreg.engine.distributed import world_size


def wrap_ddp(method: nn.Module, device: torch.device) -> nn.Module:
    """Return what is called in a step: `method` itself, or with its gradients averaged over all processes.

    Buffers are not broadcast at each step: a method moves them alike in every process.
    """
    if world_size() == 1:
        return method
    convert_sync_batchnorm(method, device)
    ids = [device.index] if device.type == "cuda" else None
    names = signature(nn.parallel.DistributedDataParallel).parameters
    option = next(name for name in ("forward_sync_buffers", "broadcast_buffers") if name in names)  # renamed in 2.15
    options: dict[str, Any] = {option: False}
    return nn.parallel.DistributedDataParallel(method, device_ids=ids, **options)
