"""A method in several processes: gradients averaged, and batch norm over the batches of all of them."""

from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from vicreg.engine.distributed import all_reduce_sum, world_size
from vicreg.engine.split_norm import SplitBatchNorm


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


def convert_sync_batchnorm(module: nn.Module, device: torch.device) -> None:
    """Replace every batch norm inside `module`, but split ones, by one with the statistics of all processes."""
    for name, child in module.named_children():
        if isinstance(child, SplitBatchNorm):
            continue  # whose parts are those of the batch of all processes
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            cuda = device.type == "cuda"
            setattr(module, name, nn.SyncBatchNorm.convert_sync_batchnorm(child) if cuda else SyncBatchNorm.like(child))
        else:
            convert_sync_batchnorm(child, device)


class SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm (Ioffe and Szegedy, 2015) over all processes, on any device; torch's SyncBatchNorm needs a GPU."""

    @classmethod
    def like(cls, other: nn.modules.batchnorm._BatchNorm) -> "SyncBatchNorm":
        """A batch norm that shares the parameters and statistics of `other`."""
        new = cls(other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats)
        new._parameters, new._buffers, new.training = other._parameters, other._buffers, other.training
        return new

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions from two on will do."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training and self.running_mean is not None:
            return batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        axes = [axis for axis in range(x.ndim) if axis != 1]
        number = x.numel() // x.shape[1] * world_size()
        column = (1, -1, *[1] * (x.ndim - 2))
        centered = x - (mean := all_reduce_sum(x.sum(axes)) / number).view(column)
        variance = all_reduce_sum(centered.square().sum(axes)) / number
        if self.running_mean is not None:
            self.update_running_stats(mean.detach(), variance.detach() * number / (number - 1))
        scale = (variance + self.eps).rsqrt()
        if self.weight is None:  # no affine map
            return (centered * scale.view(column)).to(input.dtype)
        return (centered * (self.weight * scale).view(column) + self.bias.view(column)).to(input.dtype)

    def update_running_stats(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch; `variance` is the unbiased one."""
        stats: Any = self
        stats.num_batches_tracked.add_(1)
        momentum = 1 / float(stats.num_batches_tracked) if self.momentum is None else self.momentum
        stats.running_mean.lerp_(mean.to(stats.running_mean.dtype), momentum)
        stats.running_var.lerp_(variance.to(stats.running_var.dtype), momentum)
