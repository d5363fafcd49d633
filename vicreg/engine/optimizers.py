"""Optimizers, their parameter groups, and schedules of the learning rate."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: weights decay, biases and norm parameters (one dimension) do not, nor does LARS adapt them."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


def build(
    module: nn.Module, *, name: str, lr: float, weight_decay: float, momentum: float, trust_coefficient: float
) -> torch.optim.Optimizer:
    """Return the optimizer `name` (adam, adamw, sgd or lars) over the parameters of `module`; `lr` is the peak rate."""
    groups = parameter_groups(module, weight_decay)
    if name == "lars":  # You, Gitman, Ginsburg, 2017, as in the VICReg paper; timm skips groups without weight decay
        from timm.optim import Lars  # costs seconds, and only LARS needs it

        groups[0]["always_adapt"] = True  # also without weight decay
        return Lars(groups, lr=lr, momentum=momentum, trust_coeff=trust_coefficient)
    if name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=momentum, fused=True)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[name](groups, lr=lr, fused=True)


def peak_lr(base_lr: float, scaling: str, batch_size: int) -> float:
    """The rate at `batch_size`, `base_lr` at 256: linear (Goyal et al., 2017), sqrt (Malladi et al., 2022) or none."""
    return base_lr * (batch_size / 256) ** {"linear": 1.0, "sqrt": 0.5, "none": 0.0}[scaling]


def cosine(step: int, steps: int, warmup: float, final: float) -> float:
    """Factor of the peak rate at `step` of `steps`: up linearly in the share `warmup`, half a cosine to `final`."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / math.ceil(rise)
    progress = (step - rise) / max(1.0, steps - rise)
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def schedule(
    *,
    name: str,
    steps_per_epoch: int,
    epochs: int,
    warmup: float,
    final: float,
    switch_epoch: int,
    switch_factor: float,
) -> Callable[[int], float]:
    """Return the function from step to factor of the peak rate: `cosine`, or `two_phase` as in the student report."""
    if name == "cosine":
        return lambda step: cosine(step, steps_per_epoch * epochs, warmup, final)
    return lambda step: 1.0 if step < switch_epoch * steps_per_epoch else switch_factor
