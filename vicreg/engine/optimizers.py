"""Optimizers with their parameter groups, and schedules of the learning rate."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from vicreg.io.section import MAX_INT, NonNegative, Positive, Probability, Section


class Optimizer(Section):
    """The section `optimizer`.

    base_lr: the peak rate at a batch of 256 images; scaling: with batch_size / 256, linear (Goyal et al., 2017), sqrt
    (Malladi et al., 2022) or none. momentum: of sgd, lars and muon. trust_coefficient: of lars, whose rate for a
    layer is lr * trust_coefficient * |w| / |g|; with trust_clip it is trust_coefficient * |w| / |g|, but at most lr.
    muon scales an orthogonal matrix so that the root of its mean square is 0.2 * lr or less (Liu et al., 2025);
    what is no matrix, or a small one, is left to NAdamW at 0.3 * lr.
    """

    name: Literal["adam", "adamw", "sgd", "lars", "muon"]
    base_lr: Positive
    scaling: Literal["linear", "sqrt", "none"]
    weight_decay: NonNegative
    momentum: Annotated[float, Field(ge=0, lt=1)]
    trust_coefficient: Positive
    trust_clip: bool

    def peak_lr(self, batch_size: int) -> float:
        """Return the peak rate for this batch size."""
        return self.base_lr * (batch_size / 256) ** {"linear": 1.0, "sqrt": 0.5, "none": 0.0}[self.scaling]


class Schedule(Section):
    """The section `schedule`: `cosine` after a linear warm-up, or `two_phase` as in the student report."""

    name: Literal["cosine", "two_phase"]
    warmup: Annotated[float, Field(ge=0, lt=1)]
    final: Probability
    switch_epoch: Annotated[int, Field(ge=0, le=MAX_INT)]
    switch_factor: Positive


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups: weights decay, biases and norm parameters (one dimension) do not, nor does LARS adapt them.

    Two more for the submodules that a method's `fixed_lr` names, if there are any.
    """
    fixed = {p for name in getattr(module, "fixed_lr", ()) for p in module.get_submodule(name).parameters()}
    groups = []
    for chosen in (False, True) if fixed else (False,):
        parameters = [p for p in module.parameters() if p.requires_grad and (p in fixed) == chosen]
        groups += [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay, "fixed_lr": chosen},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0, "fixed_lr": chosen},
        ]
    return groups


def build_optimizer(module: nn.Module, params: Optimizer, batch_size: int) -> torch.optim.Optimizer:
    """Return the optimizer over the parameters of `module`, at the peak rate for this batch size."""
    groups, lr = parameter_groups(module, params.weight_decay), params.peak_lr(batch_size)
    if params.name == "lars":  # You, Gitman, Ginsburg, 2017, as in the VICReg paper
        from timm.optim import Lars  # costs seconds, and only LARS needs it

        for group in groups[::2]:
            group["always_adapt"] = True  # also without weight decay; timm spares groups without it
        trust, clip = params.trust_coefficient, params.trust_clip
        return Lars(groups, lr=lr, momentum=params.momentum, trust_coeff=trust, trust_clip=clip)
    if params.name == "muon":  # Jordan, 2024, https://kellerjordan.github.io/posts/muon; kernels as matrices
        from timm.optim import Muon

        return Muon(groups, lr=lr, momentum=params.momentum, nesterov=True, fallback_lr_scale=0.3)
    if params.name == "sgd":
        return torch.optim.SGD(groups, lr=lr, momentum=params.momentum, fused=True)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[params.name](groups, lr=lr, fused=True)


def cosine(step: int, steps: int, warmup: float, final: float) -> float:
    """Factor of the peak rate at `step` of `steps`: up linearly in the share `warmup`, half a cosine to `final`."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / math.ceil(rise)
    progress = (step - rise) / max(1.0, steps - rise)
    return final + (1 - final) * (1 + math.cos(math.pi * progress)) / 2


def build_schedule(params: Schedule, steps_per_epoch: int, epochs: int) -> Callable[[int], float]:
    """Return the function from step to factor of the peak rate."""
    if params.name == "cosine":
        return lambda step: cosine(step, steps_per_epoch * epochs, params.warmup, params.final)
    return lambda step: 1.0 if step < params.switch_epoch * steps_per_epoch else params.switch_factor
