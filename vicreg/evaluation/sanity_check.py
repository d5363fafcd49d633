"""Chance: a probe that finds nothing is tried on features that are easy to separate, to tell which of both fails."""

from typing import Any

import numpy as np
import torch

from vicreg.evaluation import intervals, run_probe

MOST_TRAIN, TEST = 5000, 2000  # synthetic images: enough to be sure, in seconds
NOISE = 0.1  # standard deviation around centres whose coordinates have 1


def doubtful(score: dict[str, Any], classes: int) -> bool:
    """Whether the 95 % interval of a probe's top-1 reaches down to what a guess at random gets right."""
    return classes > 1 and score["top1_low"] <= 1 / classes


def cleared(
    score: dict[str, Any],
    probe: str,
    settings: dict[str, Any],
    features: dict[str, np.ndarray],
    *,
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Return `score` with `at_chance`: whether these features told this probe nothing about the classes.

    score: as `intervals.score` returns it. A probe at chance is tried again, with the same settings, on as many
    synthetic features (at most 5,000) of as many dimensions and classes.
    Raises ValueError where it is at chance there too: then the probe or its settings are broken, not the features.
    """
    classes = len(features["classes"])
    if not doubtful(score, classes):
        return {**score, "at_chance": False}
    count, dimensions = features["probe_train"].shape
    easy, labels = separable(min(count, MOST_TRAIN), dimensions, classes, seed)
    guesses, _, _ = run_probe.guess(probe, easy, settings, seed=seed, device=device)
    control = intervals.score(guesses, labels, seed)
    if doubtful(control, classes):
        raise ValueError(
            f"the probe {probe} is at chance, {score['top1']:.1%} of {classes} classes, and with {control['top1']:.1%} "
            "also on synthetic features that are easy to separate: the probe or its settings are broken. Look at "
            f"`probes.{probe}` in params.yaml: {', '.join(f'{key} {value}' for key, value in settings.items())}"
        )
    return {**score, "at_chance": True}


def separable(count: int, dimensions: int, classes: int, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Synthetic features as `run_probe.load` returns them, and their test labels: far centres, little noise."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, dimensions))

    def around(labels: np.ndarray) -> np.ndarray:
        noise = NOISE * random.normal(size=(len(labels), dimensions))
        return (centres[labels] + noise).astype(np.float32)

    learned, asked = (np.arange(n, dtype=np.int64) % classes for n in (count, TEST))
    parts = {"probe_train": around(learned), "probe_train_labels": learned, "probe_test": around(asked)}
    return {"classes": np.arange(classes), **parts}, asked


def warning(probe: str, score: dict[str, Any], classes: int) -> str:
    """What to say of a probe whose `at_chance` is true."""
    return (
        f"warning: {probe}: top-1 {score['top1']:.1%} (95 % interval {score['top1_low']:.1%} to "
        f"{score['top1_high']:.1%}) cannot be told from chance, {1 / classes:.1%}. The probe separates synthetic "
        "features, so it works: what the encoder gives says nothing about these classes that so many test images show."
    )
