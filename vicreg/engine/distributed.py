"""Several processes that compute as one: a batch is shared out; statistics and embeddings are summed over all of them.

Each process computes the loss of the whole batch from its share of the images. A sum over processes hands the
gradients of all losses back to each share, and DistributedDataParallel's mean over processes makes of them the
gradient of one loss: n processes with B / n images each take the step of one process with B images.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import batch_norm

PATIENCE = timedelta(days=1)  # while one process evaluates or saves; that one died, torchrun notices at once


def count() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if count() > 1 else 0


def leads() -> bool:
    """Whether this process is the one that logs and saves."""
    return rank() == 0


def barrier() -> None:
    if count() > 1:
        dist.barrier()


def started_by_torchrun() -> bool:
    return "TORCHELASTIC_RUN_ID" in os.environ


def use_own_gpu() -> None:
    """Keep a process that torchrun started off the GPUs of the others."""
    if started_by_torchrun() and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Make this process, started by torchrun, one of its group; yield the device that is its own."""
    own = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device.type == "cuda" else device
    backend, where = ("nccl" if own.type == "cuda" else "gloo"), os.environ.get("VICREG_RENDEZVOUS", "env://")
    number, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group(backend, init_method=where, timeout=PATIENCE, rank=number, world_size=size)
    yield own
    dist.barrier()  # not after an error: the others would wait for this process, which torchrun will end
    dist.destroy_process_group()


def agreed(numbers: tuple[int, ...]) -> bool:
    """Whether all processes have the same numbers."""
    if count() == 1:
        return True
    everyone: list[Any] = [None] * count()
    dist.all_gather_object(everyone, numbers)
    return all(other == numbers for other in everyone)


def summed(x: Tensor) -> Tensor:
    """Sum x over all processes; its gradient is summed over them likewise."""
    return Sum.apply(x) if count() > 1 else x


class Sum(torch.autograd.Function):
    """The sum over processes: each one's x is in the result of all, so each one's gradient comes from all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return Sum.apply(gradient)


def gathered(z: Tensor) -> Tensor:
    """Return the rows of all processes, (count * N, D), in the order of their ranks, from each one's z (N, D)."""
    if count() == 1:
        return z
    blocks = [z if i == rank() else torch.zeros_like(z) for i in range(count())]
    return summed(torch.cat(blocks))


def share(batch_size: int) -> slice:
    """Which images of a batch are this process's."""
    mine = batch_size // count()
    return slice(rank() * mine, (rank() + 1) * mine)


def wrapped(method: nn.Module, device: torch.device) -> nn.Module:
    """Return what is called in a step: `method` itself, or with its gradients averaged over all processes."""
    if count() == 1:
        return method
    synchronise(method, device)
    ids = [device.index] if device.type == "cuda" else None
    return nn.parallel.DistributedDataParallel(method, device_ids=ids)


def synchronise(module: nn.Module, device: torch.device) -> None:
    """Replace every batch norm inside `module` by one with the statistics of all processes."""
    for name, child in module.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            cuda = device.type == "cuda"
            setattr(module, name, nn.SyncBatchNorm.convert_sync_batchnorm(child) if cuda else BatchNorm.like(child))
        else:
            synchronise(child, device)


class BatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm (Ioffe and Szegedy, 2015) over all processes, on any device; torch's SyncBatchNorm needs a GPU."""

    @classmethod
    def like(cls, other: nn.modules.batchnorm._BatchNorm) -> "BatchNorm":
        """A batch norm that shares the parameters and statistics of `other`."""
        new = cls(other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats)
        new._parameters, new._buffers, new.training = other._parameters, other._buffers, other.training
        return new

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions from two on will do."""

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        axes = [axis for axis in range(x.ndim) if axis != 1]
        number = x.numel() // x.shape[1] * count()
        column = (1, -1, *[1] * (x.ndim - 2))
        centred = x - (mean := summed(x.sum(axes)) / number).view(column)
        variance = summed(centred.square().sum(axes)) / number
        self.remember(mean.detach(), variance.detach() * number / (number - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(column) + self.bias.view(column)).to(input.dtype)

    def remember(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch; `variance` is the unbiased one."""
        assert self.running_mean is not None and self.running_var is not None and self.momentum is not None
        assert self.num_batches_tracked is not None
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        self.num_batches_tracked.add_(1)
