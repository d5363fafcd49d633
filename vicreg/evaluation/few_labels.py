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

HELD_OUT = 5  # one in so many training images judges what is chosen
Fractions = Annotated[list[Fraction], Field(min_length=1)]


class FewLabels(Section):
    """The section `few_labels`. probe: its name; params: its parameters; draws: of each fraction but 1."""

    fractions: Fractions
    draws: Count
    probe: str
    params: dict[str, Any]


def draw(labels: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """Positions, ascending, of a fraction of each class of labels (N,), at random.

    Of one seed, the images of a smaller fraction are among those of a larger one.
    """
    ranks, random = np.empty(len(labels), np.int64), np.random.default_rng(seed)
    names, sizes = class_sizes(labels, fraction)
    for name in names:
        members = np.flatnonzero(labels == name)
        ranks[random.permutation(members)] = np.arange(len(members))
    return np.flatnonzero(ranks < sizes[np.searchsorted(names, labels)])


def class_sizes(labels: np.ndarray, fraction: float) -> tuple[np.ndarray, np.ndarray]:
    """The classes in labels (N,), ascending, and how many images a fraction of each is, rounded."""
    names, counts = np.unique(labels, return_counts=True)
    return names, np.floor(counts * fraction + 0.5).astype(np.int64)


def too_small(labels: np.ndarray, fraction: float) -> str | None:
    """Why nothing can be chosen inside this fraction of labels (N,): a class would have fewer than two; or None."""
    names, sizes = class_sizes(labels, fraction)
    if not (few := int((sizes < 2).sum())):
        return None
    return (
        f"a fraction of {fraction:g} of {len(labels):,} labels leaves {few} of {len(names)} classes fewer than two: "
        "raise it in `few_labels.fractions` and `fine_tuning.fractions`, or take more images"
    )


def held_out(labels: np.ndarray, seed: int) -> np.ndarray:
    """A mask of labels (N,): a fifth of each class, drawn and rounded up; of a single image none."""
    random, mask = np.random.default_rng(seed), np.zeros(len(labels), bool)
    for members in (random.permutation(np.flatnonzero(labels == label)) for label in np.unique(labels)):
        mask[members[: min(-(-len(members) // HELD_OUT), len(members) - 1)]] = True
    return mask


def draws(labels: np.ndarray, fraction: float, count: int, seed: int) -> list[np.ndarray]:
    """So many draws with seeds of their own, `seed`, `seed + 1`, ...; of all labels there is one."""
    return [draw(labels, fraction, seed + n) for n in range(count if fraction < 1 else 1)]


def evaluate(features: FeatureSet, p: FewLabels, *, seed: int, device: torch.device) -> list[dict[str, Any]]:
    """Train the probe on each draw of each fraction, and test it on all test features.

    Returns for each fraction, the largest first, `fraction`, `images`, `top1` and `top5` of each draw, the `seconds`,
    and what the probe chose itself, inside each draw, `chosen`; or, of one that is too small, `left_out`, the reason.
    """
    results: list[dict[str, Any]] = []
    num_classes, labels = len(features.classes), features.train_labels
    for fraction in sorted(p.fractions, reverse=True):
        if reason := too_small(labels, fraction):
            results.append({"fraction": fraction, "left_out": reason})
            continue
        start, scores, choices = time.perf_counter(), [], []
        for rows in (chosen := draws(labels, fraction, p.draws, seed)):
            probe, part = build(p.probe, p.params), (features.train[rows], labels[rows])
            *_, classifier = probe.fit(*part, num_classes=num_classes, seed=seed, device=device)
            scores.append(accuracies(classifier.predict(features.test, device), features.test_labels))
            choices.append(probe.chosen)
        results.append({**summary(fraction, chosen, scores, start), "chosen": choices})
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
    if "left_out" in result:
        return f"left out: {result['left_out']}"
    return f"{result['images']:,} labels: top-1 {', '.join(f'{score:.1%}' for score in result['top1'])}"
