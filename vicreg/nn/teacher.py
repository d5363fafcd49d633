"""A teacher: a copy of a network whose weights are an exponential moving average of its weights."""

import math
from copy import deepcopy

from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from vicreg.io.section import Probability, Section


class Teacher(nn.Sequential):
    """Copies of `modules`, applied one after the other, without gradients.

    Its batch norms are in the mode of the method and keep running statistics of their own, as in BYOL and MoCo.
    """

    def __init__(self, *modules: nn.Module):
        super().__init__(*map(deepcopy, modules))
        self.requires_grad_(False)

    def update(self, *modules: nn.Module, momentum: float) -> None:
        """Move each weight to momentum * itself + (1 - momentum) * that of `modules`, those that were copied."""
        current = [parameter for module in modules for parameter in module.parameters()]
        get_ema_multi_avg_fn(momentum)(list(self.parameters()), current, 0)


class Momentum(Section):
    """The teacher's momentum at the start and at the end of the training."""

    momentum: Probability = 0.99
    momentum_end: Probability = 1.0

    def momentum_at(self, progress: float) -> float:
        """The momentum at a share `progress` of the training: half a cosine between both (BYOL, section 3.3)."""
        return self.momentum_end - (self.momentum_end - self.momentum) * (1 + math.cos(math.pi * progress)) / 2
