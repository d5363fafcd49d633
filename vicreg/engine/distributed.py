"""Data parallelism in which k processes take the step of one with the whole batch.

Each process computes the loss of its rows, or of rows gathered from all processes. A sum over processes hands the
gradients of all losses back to each process, and DistributedDataParallel's mean over processes makes of them the
gradient of one loss.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

TIMEOUT = timedelta(days=1)  # while one process evaluates or saves; that one died, torchrun notices at once


def world_size() -> int:
    """Return the number of processes that train together, 1 for a process alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Return which of the processes this one is, 0 for a process alone."""
    return dist.get_rank() if world_size() > 1 else 0


def is_main_process() -> bool:
    """Whether this process is the one that logs and saves."""
    return rank() == 0


def barrier() -> None:
    """Wait until every process has come here."""
    if world_size() > 1:
        dist.barrier()


def started_by_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def set_local_device() -> None:
    """Keep a process that torchrun started off the GPUs of the others."""
    if started_by_torchrun() and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))


@contextmanager
def process_group(device: torch.device) -> Iterator[torch.device]:
    """Make this process, started by torchrun, one of its group; yield the device that is its own."""
    own = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device.type == "cuda" else device
    backend, address = ("nccl" if own.type == "cuda" else "gloo"), os.environ.get("VICREG_RENDEZVOUS", "env://")
    number, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group(backend, init_method=address, timeout=TIMEOUT, rank=number, world_size=size)
    yield own
    dist.barrier()  # not after an error: the others would wait for this process, which torchrun will end
    dist.destroy_process_group()


def all_equal(value: Any) -> bool:
    """Whether all processes have the same value."""
    if world_size() == 1:
        return True
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return all(other == value for other in values)


def from_main_process(value: Any) -> Any:
    """The main process's value, in all processes: what they decide by it they decide alike."""
    values = [value]
    if world_size() > 1:
        dist.broadcast_object_list(values)
    return values[0]


def all_reduce_sum(x: Tensor) -> Tensor:
    """Sum x over all processes; its gradient is summed over them likewise."""
    return AllReduceSum.apply(x) if world_size() > 1 else x


def all_reduce_mean(x: Tensor) -> Tensor:
    """The mean of x over all processes."""
    return all_reduce_sum(x) / world_size() if world_size() > 1 else x


class AllReduceSum(torch.autograd.Function):
    """The sum over processes: each one's x is in the result of all, so each one's gradient comes from all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return AllReduceSum.apply(gradient)


def gather(z: Tensor) -> Tensor:
    """Return the rows of all processes, (k * N, ...), in the order of their ranks, from each one's z (N, ...)."""
    if world_size() == 1:
        return z
    blocks = [z if i == rank() else torch.zeros_like(z) for i in range(world_size())]
    return all_reduce_sum(torch.cat(blocks))


def local_rows(batch_size: int) -> slice:
    """Which images of a batch are this process's; raises ValueError where processes cannot share it evenly."""
    if batch_size % world_size():
        raise ValueError(
            f"a batch of {batch_size} images cannot be shared evenly by {world_size()} processes: "
            "choose a `batch_size` that is a multiple, or other `num_processes`"
        )
    count = batch_size // world_size()
    return slice(rank() * count, (rank() + 1) * count)
