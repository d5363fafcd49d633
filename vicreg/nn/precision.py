"""Losses in full precision: sums over a batch, and exp of scores, do not fit into half precision."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P, R = ParamSpec("P"), TypeVar("R")


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function compute outside autocast, on its tensors in float32 (float64 stays)."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next(value.device.type for value in args if isinstance(value, Tensor))
        with torch.autocast(device, enabled=False):
            return function(*map(_widened, args), **kwargs)  # type: ignore[arg-type]

    return wrapped


def _widened(value: object) -> object:
    return value.float() if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16) else value
