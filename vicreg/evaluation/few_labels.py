"""Few labels: which images keep theirs, and what a probe learns from them.

Fractions as in Henaff et al., CPC v2, ICML 2020, and Chen et al., SimCLR, ICML 2020, section 6.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field

from vicreg.evaluation.features import FeatureSet
from vicreg.evaluation.metrics import accuracies
from vicreg.evaluation.probe import build
from vicreg.io.section import Count, Fraction, Section

Fractions = Annotated[list[Fraction], Field(min_length=1)]


class FewLabels(Section):
    """The section `few_labels`. probe: its name; params: its parameters; draws: of each fraction but 1."""

    fractions: Fractions
    draws: Count
    probe: str
    params: dict[str, Any]


def draw(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Positions, ascending, of a fraction of each class of labels (N,), at random.

    Of one seed, the images of a smaller fraction are among those of a larger one. Raises ValueError where a class would
    keep no image.
    """
    ranks, random = np.empty(len(labels), np.int64), np.random.default_rng(seed)
    names, counts = np.unique(labels, return_counts=True)
    sizes = np.floor(counts * fraction + 0.5).astype(np.int64)
    if empty := int((sizes == 0).sum()):
        raise ValueError(
            f"a fraction of {fraction:g} of {len(labels):,} labels leaves {empty} of {len(names)} classes without one: "
            "raise it in `few_labels.fractions` and `fine_tuning.fractions`, or take more images"
        )
    for name in names:
        members = np.flatnonzero(labels == name)
        ranks[random.permutation(members)] = np.arange(len(members))
    return np.flatnonzero(ranks < sizes[np.searchsorted(names, labels)])


def draws(labels: np.ndarray, fraction: float, count: int, seed: int) -> list[np.ndarray]:
    """So many draws with seeds of their own, `seed`, `seed + 1`, ...; of all labels there is one."""
    return [draw(labels, fraction, seed + n) for n in range(count if fraction < 1 else 1)]


def evaluate(features: FeatureSet, p: FewLabels, *, seed: int, device: torch.device) -> list[dict[str, Any]]:
    """Train the probe on each draw of each fraction, and test it on all test features.

    Returns for each fraction, the largest first, `fraction`, `images`, `top1` and `top5` of each draw, and the
    `seconds`. Whatever the probe chooses it chooses inside the draw.
    """
    results, num_classes, labels = [], len(features.classes), features.train_labels
    for fraction in sorted(p.fractions, reverse=True):
        start, scores = time.perf_counter(), []
        for rows in (chosen := draws(labels, fraction, p.draws, seed)):
            probe, part = build(p.probe, p.params), (features.train[rows], labels[rows])
            *_, classifier = probe.fit(*part, num_classes=num_classes, seed=seed, device=device)
            scores.append(accuracies(classifier.predict(features.test, device), features.test_labels))
        results.append(summary(fraction, chosen, scores, start))
    return results


def summary(
    fraction: float, chosen: Sequence[np.ndarray], scores: Sequence[Mapping[str, float]], start: float
) -> dict[str, Any]:
    """What a result says of one fraction: `chosen`, the positions, and the `scores` of each draw."""
    top = {key: [score[key] for score in scores] for key in ("top1", "top5")}
    return {
        "fraction": fraction,
        "images": len(chosen[0]),
        **top,
        "seconds": round(time.perf_counter() - start, 2),
    }


def describe(result: Mapping[str, Any]) -> str:
    """A line on one fraction for a person."""
    return f"{result['images']:,} labels: top-1 {', '.join(f'{score:.1%}' for score in result['top1'])}"
