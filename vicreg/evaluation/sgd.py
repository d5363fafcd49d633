"""Stochastic gradient descent on the cross-entropy of frozen features, as the linear and the MLP probe share it."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import cross_entropy

from vicreg.io.section import Count, Section


class SGD(Section):
    """epochs, batch_size, momentum; schedule: the rate falls by half a cosine to 0, stays, or falls in steps.

    drops: epochs after which it falls to a tenth, of `steps`. Kolesnikov, Zhai, Beyer, CVPR 2019, figure 8: the first
    after 30, 120 or 480 epochs, the second 20 later, the end 40 after the first. standardize: features.
    """

    epochs: Count = 20
    schedule: Literal["cosine", "constant", "steps"] = "cosine"
    drops: list[Count] = []  # noqa: RUF012 (pydantic copies it)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    batch_size: Count = 256
    standardize: bool = True

    def train(
        self,
        parameters: Sequence[Tensor],
        scores: Callable[[Tensor], Tensor],
        data: tuple[Tensor, Tensor],
        rates: tuple[float, float],
        generator: torch.Generator,
    ) -> Iterator[None]:
        """Train in place, and yield after each epoch.

        scores: from features (N, D) to (N, C). data: features and labels. rates: the first learning rate, and weight
        decay. generator: of the order of images.
        """
        (x, y), (lr, weight_decay) = data, rates
        optimizer = torch.optim.SGD(parameters, lr=lr, momentum=self.momentum, weight_decay=weight_decay)
        steps_per_epoch = math.ceil(len(x) / self.batch_size)
        steps = self.epochs * steps_per_epoch
        factor: dict[str, Callable[[int], float]] = {
            "cosine": lambda step: (1 + math.cos(math.pi * step / steps)) / 2,
            "constant": lambda step: 1.0,
            "steps": lambda step: 0.1 ** sum(step >= drop * steps_per_epoch for drop in self.drops),
        }
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor[self.schedule])
        for _ in range(self.epochs):
            for batch in torch.randperm(len(x), generator=generator).to(x.device).split(self.batch_size):
                loss = cross_entropy(scores(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
            yield
