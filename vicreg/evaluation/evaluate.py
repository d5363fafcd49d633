"""Judging: a probe guesses on frozen features, and its guesses become a score, with all that a reader may ask of it."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from vicreg.evaluation import intervals, metrics, run_probe, sanity_check


def judge(
    probe: str,
    settings: dict[str, Any],
    features: dict[str, np.ndarray],
    path: Path,
    *,
    seed: int,
    device: torch.device,
) -> tuple[dict[str, Any], nn.Module]:
    """Return the result of the member `probe` on `features`, as plain values, and the head that it learned.

    features: what `run_probe.load` read from `path`, which is asked for the test labels once the guesses are final.

    The result has what `intervals.score` gives, `at_chance`, `confusion` (C, C), the `settings` with those that
    the probe chose, and the `seconds` that it took. Raises ValueError as `run_probe` and `sanity_check` do.
    """
    began = time.perf_counter()
    guesses, chosen, head = run_probe.guess(probe, features, settings, seed=seed, device=device)
    labels = run_probe.revealed(path, features, guesses)
    score = intervals.score(guesses, labels, seed)
    seconds = round(time.perf_counter() - began, 2)
    score = sanity_check.cleared(score, probe, settings, features, seed=seed, device=device)
    score["confusion"] = metrics.confusion(guesses[-1], labels, len(features["classes"])).tolist()
    return {**score, "settings": {**settings, **chosen}, "seconds": seconds}, head
