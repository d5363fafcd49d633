"""The linear probe: one layer by stochastic gradient descent, as in the student report (its section 3)."""

import math

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from vicreg.evaluation.classifiers.linear import Head
from vicreg.evaluation.metrics import ranked, standardisation


def guess(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    classes: int,
    seed: int,
    device: torch.device,
    epochs: int = 20,
    lr: float = 0.3,
    schedule: str = "cosine",
    momentum: float = 0.9,
    weight_decay: float = 1e-6,
    batch_size: int = 256,
    standardise: bool = True,
) -> tuple[list[np.ndarray], dict, Head]:
    """Guesses after each epoch of SGD on the cross-entropy; the layer starts at N(0, 0.01) and zero bias."""
    mean, scale = standardisation(train) if standardise else (np.zeros_like(train[0]), np.ones_like(train[0]))
    generator = torch.Generator().manual_seed(seed)
    x, y, x_test = (
        torch.from_numpy(np.ascontiguousarray(array)).to(device)
        for array in ((train - mean) * scale, labels, (test - mean) * scale)
    )
    weight = (torch.randn(classes, x.shape[1], generator=generator) * 0.01).to(device).requires_grad_()
    bias = torch.zeros(classes, device=device, requires_grad=True)
    optimizer = torch.optim.SGD([weight, bias], lr=lr, momentum=momentum, weight_decay=weight_decay)
    steps, guesses = epochs * math.ceil(len(x) / batch_size), []
    anneal = (lambda step: (1 + math.cos(math.pi * step / steps)) / 2) if schedule == "cosine" else (lambda step: 1.0)
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, anneal)
    for _ in range(epochs):
        for batch in torch.randperm(len(x), generator=generator).to(device).split(batch_size):
            loss = cross_entropy(torch.addmm(bias, x[batch], weight.T), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rate.step()
        with torch.no_grad():
            guesses.append(ranked(torch.addmm(bias, x_test, weight.T).cpu().numpy()))
    head = Head(torch.from_numpy(mean).to(device), torch.from_numpy(scale).to(device), weight, bias)
    return guesses, {}, head
