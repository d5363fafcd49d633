"""The linear probe: one layer by stochastic gradient descent, as in the student report (its section 3)."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch.nn.functional import cross_entropy

from vicreg.evaluation.classifiers.linear import LinearClassifier
from vicreg.evaluation.metrics import fit_scaler
from vicreg.evaluation.probe import Probe
from vicreg.io.section import Count, NonNegative, Positive, Section


class Params(Section):
    epochs: Count = 20
    lr: Positive = 0.3
    schedule: Literal["cosine", "constant"] = "cosine"
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: NonNegative = 1e-6
    batch_size: Count = 256
    standardize: bool = True


class Linear(Probe):
    """SGD on the cross-entropy; the layer starts at N(0, 0.01) and zero bias."""

    Params = Params

    def fit(self, features, labels, *, num_classes, seed, device) -> Iterator[LinearClassifier]:
        p, generator = self.params, torch.Generator().manual_seed(seed)
        mean, scale = fit_scaler(features, p.standardize)
        arrays = ((features - mean) * scale, labels, mean, scale)
        x, y, *scaler = (torch.from_numpy(array).to(device) for array in arrays)
        weight = (torch.randn(num_classes, x.shape[1], generator=generator) * 0.01).to(device).requires_grad_()
        bias = torch.zeros(num_classes, device=device, requires_grad=True)
        optimizer = torch.optim.SGD([weight, bias], lr=p.lr, momentum=p.momentum, weight_decay=p.weight_decay)
        steps = p.epochs * math.ceil(len(x) / p.batch_size)
        factor = {"cosine": lambda step: (1 + math.cos(math.pi * step / steps)) / 2, "constant": lambda step: 1.0}
        lr = torch.optim.lr_scheduler.LambdaLR(optimizer, factor[p.schedule])
        for _ in range(p.epochs):
            for batch in torch.randperm(len(x), generator=generator).to(device).split(p.batch_size):
                loss = cross_entropy(torch.addmm(bias, x[batch], weight.T), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                lr.step()
            yield LinearClassifier(scaler[0], scaler[1], weight, bias)
