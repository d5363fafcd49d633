"""Losses in full precision: sums over a batch, and exp of scores, do not fit into half precision."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn.functional import normalize

F = TypeVar("F", bound=Callable[..., Any])


def full_precision(function: F) -> F:
    """Let a function compute outside autocast, with its tensors, and those in lists, in float32 (float64 stays)."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tensors = [value for arg in args for value in (arg if isinstance(arg, list) else [arg])]
        device = next(value.device.type for value in tensors if isinstance(value, Tensor))
        with torch.autocast(device, enabled=False):
            return function(*map(_widened, args), **kwargs)

    return wrapped  # type: ignore[return-value]


def _widened(value: Any) -> Any:
    if isinstance(value, list):
        return [_widened(each) for each in value]
    return value.float() if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16) else value


@full_precision
def unit(z: Tensor) -> Tensor:
    """The rows of z (N, D) with length 1."""
    return normalize(z)
