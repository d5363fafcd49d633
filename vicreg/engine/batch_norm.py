"""Batch norm over the batches of all processes, or over parts of them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from vicreg.engine.distributed import all_reduce_mean, all_reduce_sum, world_size


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
            update_running_stats(self, mean.detach(), variance.detach() * number / (number - 1))
        scale = (variance + self.eps).rsqrt()
        if self.weight is None:  # no affine map
            return (centered * scale.view(column)).to(input.dtype)
        return (centered * (self.weight * scale).view(column) + self.bias.view(column)).to(input.dtype)


class SplitBatchNorm(nn.BatchNorm2d):
    """Batch norm of each of `parts` equal, consecutive parts of the whole input; in evaluation mode as BatchNorm2d.

    Then the images of one part share no statistics with those of another. MoCo needs it: a query and its key that were
    normalized together, unlike the keys of the queue, can be told by their statistics (He et al., MoCo, CVPR 2020,
    section 3.3, where each GPU has a part and keys are shuffled). Here the parts are those of the whole batch, so that
    k processes, which must share them evenly, compute what one does.
    """

    def __init__(self, other: nn.BatchNorm2d, parts: int):
        """It shares the parameters and statistics of `other`."""
        super().__init__(other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats)
        self._parameters, self._buffers, self.training = other._parameters, other._buffers, other.training
        self.parts = parts

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        parts = self.parts // world_size()  # of this process's rows
        means = [torch.zeros_like(self.running_mean) for _ in range(parts)]  # type: ignore[arg-type]
        variances = [torch.ones_like(self.running_var) for _ in range(parts)]  # type: ignore[arg-type]
        outputs = [
            batch_norm(x, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)
            for x, mean, variance in zip(input.chunk(parts), means, variances, strict=True)
        ]
        mean, variance = (all_reduce_mean(torch.stack(stats).mean(dim=0)) for stats in (means, variances))
        update_running_stats(self, mean, variance)
        return torch.cat(outputs)


def split_batchnorm(module: nn.Module, parts: int) -> None:
    """Replace every BatchNorm2d inside `module` by one over `parts` parts of the batch."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SplitBatchNorm(child, parts))
        else:
            split_batchnorm(child, parts)


@torch.no_grad()
def update_running_stats(norm: Any, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics of a batch norm towards those of a batch; `variance` is the unbiased one."""
    norm.num_batches_tracked.add_(1)
    momentum = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), momentum)
