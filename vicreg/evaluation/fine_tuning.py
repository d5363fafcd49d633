"""Fine-tuning: encoder and linear layer learn together from few labels.

Bardes, Ponce, LeCun, VICReg, ICLR 2022, section 5.1 (its code, evaluate.py: SGD with momentum 0.9, no weight decay, a
cosine to 0, a new layer of N(0, 0.01), batch norm in training mode). There an epoch of 1 % of ImageNet has 50 steps; of
CIFAR it has a handful, so that here the number of steps is given.
"""

import copy
import math
import time
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vicreg.augment.policy import Policy
from vicreg.augment.views import make_views
from vicreg.data.images import Images
from vicreg.engine.loop import autocast
from vicreg.evaluation.few_labels import Fractions, draws, held_out, summary, too_small
from vicreg.evaluation.metrics import accuracies, topk
from vicreg.io.section import Count, Fraction, NonNegative, Probability, Section


class FineTuning(Section):
    """The section `fine_tuning`.

    rates: pairs of the encoder's and the layer's first rate, of which the best on a fifth of the first draw is taken;
    of an encoder whose rate is 0 the statistics of batch norm stay, too. scale_min: area of a crop, as a share of the
    image's; flip: probability. draws: of each fraction but 1.
    """

    fractions: Fractions
    draws: Count
    steps: Count
    batch_size: Count
    rates: Annotated[list[Annotated[list[NonNegative], Field(min_length=2, max_length=2)]], Field(min_length=1)]
    scale_min: Fraction
    flip: Probability


class Classified(nn.Module):
    """An encoder with a linear layer: images (N, 3, H, W) -> scores (N, C)."""

    def __init__(self, encoder: nn.Module, num_classes: int, generator: torch.Generator):
        super().__init__()
        self.encoder = encoder
        self.layer = nn.Linear(int(encoder.num_features), num_classes)  # type: ignore[arg-type]
        with torch.no_grad():
            self.layer.weight.copy_(torch.randn(self.layer.weight.shape, generator=generator) * 0.01)
            self.layer.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(self.encoder(images))

    @torch.no_grad()
    def predict(self, pixels: np.ndarray, positions: np.ndarray, device: torch.device) -> np.ndarray:
        """The five likeliest classes of the images at `positions` of (M, H, W, 3) uint8."""
        self.eval()
        parts = np.split(positions, range(500, len(positions), 500))
        scores = [self(torch.from_numpy(pixels[part]).to(device).permute(0, 3, 1, 2)) for part in parts]
        return topk(torch.cat(scores).nan_to_num().cpu().numpy())  # of a network that diverged, too


def fine_tune(
    encoder: nn.Module,
    images: Tensor,
    labels: Tensor,
    p: FineTuning,
    rates: tuple[float, float],
    *,
    num_classes: int,
    seed: int,
    dtype: torch.dtype = torch.float32,
) -> Classified:
    """Return a fine-tuned copy of `encoder`, with its layer.

    images: (N, 3, H, W) uint8, labels: (N,) int64, both on the device. rates: of the encoder and of the layer.
    """
    device = images.device
    network = Classified(copy.deepcopy(encoder.to(device)), num_classes, torch.Generator().manual_seed(seed)).to(device)
    network.to(memory_format=torch.channels_last)
    parts = zip((network.encoder, network.layer), rates, strict=True)
    groups = [{"params": list(part.parameters()), "lr": lr} for part, lr in parts if lr]
    optimizer = torch.optim.SGD(groups, lr=0.0, momentum=0.9)
    cosine = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (1 + math.cos(math.pi * step / p.steps)) / 2)
    policy, generator = Policy(scale_min=p.scale_min, flip=p.flip), torch.Generator(device).manual_seed(seed)
    network.train().encoder.requires_grad_(bool(rates[0])).train(bool(rates[0]))
    for rows in batches(len(images), min(p.batch_size, len(images)), p.steps, generator):
        views = make_views(images[rows], policy, generator, count=1)
        with autocast(device, dtype):
            scores = network(views)
        optimizer.zero_grad()
        cross_entropy(scores.float(), labels[rows]).backward()
        optimizer.step()
        cosine.step()
    return network


def batches(count: int, size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield so many batches (size,) of positions below `count`: whole passes in new orders, what remains left out."""
    rows: list[Tensor] = []
    for _ in range(steps):
        rows = rows or list(torch.randperm(count, generator=generator, device=generator.device).split(size))
        yield rows.pop(0)
        if rows and len(rows[0]) < size:
            rows = []


def evaluate(
    encoder: nn.Module,
    images: Images,
    subsets: tuple[np.ndarray, np.ndarray],
    p: FineTuning,
    *,
    seed: int,
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    progress: Any = iter,
) -> list[dict[str, Any]]:
    """Fine-tune on each draw of each fraction of the training images, and test on all test images.

    subsets: positions of the images that train and test. progress: wraps what is gone through, as tqdm does. Returns
    what `few_labels.evaluate` does, but instead of `chosen` the `rates`, and `held_out_top1`, what they were taken by.
    """
    train, test = subsets
    pixels, labels, num_classes = images.pixels, images.labels, len(images.classes)

    def tuned(rows: np.ndarray, rates: Any) -> Classified:
        x = torch.from_numpy(pixels[train[rows]]).to(device).permute(0, 3, 1, 2).contiguous()
        y = torch.from_numpy(labels[train[rows]]).to(device)
        return fine_tune(encoder, x, y, p, rates, num_classes=num_classes, seed=seed, dtype=dtype)

    def score(network: Classified, positions: np.ndarray) -> dict[str, float]:
        return accuracies(network.predict(pixels, positions, device), labels[positions])

    results: list[dict[str, Any]] = []
    for fraction in progress(sorted(p.fractions, reverse=True)):
        if reason := too_small(labels[train], fraction):
            results.append({"fraction": fraction, "left_out": reason})
            continue
        start, chosen, trials = time.perf_counter(), draws(labels[train], fraction, p.draws, seed), {}
        rates = p.rates[0]
        if len(p.rates) > 1:
            judged = held_out(labels[train[chosen[0]]], seed)
            fit, judge = chosen[0][~judged], chosen[0][judged]
            trials = {str(r): score(tuned(fit, r), train[judge])["top1"] for r in p.rates}
            rates = max(p.rates, key=lambda r: trials[str(r)])
        scores = [score(tuned(rows, rates), test) for rows in chosen]
        results.append({**summary(fraction, chosen, scores, start), "rates": rates, "held_out_top1": trials})
    return results
