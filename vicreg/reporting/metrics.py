"""Metrics: every accuracy with its gain over the baseline, from unrounded values."""

from typing import Any

import numpy as np

from vicreg.evaluation.intervals import paired_interval, unpacked
from vicreg.reporting.curves import PROBE
from vicreg.reporting.study import Dataset, Study

BASELINE = "random"
SCORES = ("top1", "top1_low", "top1_high", "top5")

Accuracies = dict[str, dict[str, Any]]


def accuracies(evaluations: dict[str, dict[str, Any]], slot: str) -> Accuracies:
    """Return {encoder: {probe: {"top1", "top1_low", "top1_high", "top5", "gain"}}}, all in [0, 1].

    `gain` is the difference of top-1 to the encoder named `random` under the same probe, `gain_low` and
    `gain_high` its 95 % interval on the same test images; there is none without such an encoder.
    An encoder that did not take part is {"not_run": the reason in words}.
    """
    found = {encoder: _scores(evaluation, slot) for encoder, evaluation in evaluations.items()}
    baseline = found.get(BASELINE, {})
    for encoder, probes in found.items():
        for probe in [name for name in probes if name != "not_run" and name in baseline]:
            probes[probe]["gain"] = probes[probe]["top1"] - baseline[probe]["top1"]
            correct, before = (_hits(evaluations[name], slot, probe) for name in (encoder, BASELINE))
            probes[probe]["gain_low"], probes[probe]["gain_high"] = paired_interval(correct, before, seed=0)
    return found


def _hits(evaluation: dict[str, Any], slot: str, probe: str) -> np.ndarray:
    dataset = evaluation["datasets"][slot]
    return unpacked(dataset["probes"][probe]["hits"], dataset["test"])


def best_two(evaluations: dict[str, dict[str, Any]], slot: str, probe: str) -> dict[str, Any] | None:
    """Return the encoders with the highest top-1, their difference and its 95 % interval on the same test images.

    None where fewer than two encoders other than the baseline ran.
    """
    ran = {name: entry["datasets"][slot]["probes"] for name, entry in evaluations.items() if "datasets" in entry}
    ranked = sorted(
        (name for name in ran if name != BASELINE and probe in ran[name]), key=lambda n: -ran[n][probe]["top1"]
    )
    if len(ranked) < 2:
        return None
    best, second = ranked[:2]
    low, high = paired_interval(_hits(evaluations[best], slot, probe), _hits(evaluations[second], slot, probe), seed=0)
    difference = ran[best][probe]["top1"] - ran[second][probe]["top1"]
    return {"best": best, "second": second, "difference": difference, "low": low, "high": high}


def _scores(evaluation: dict[str, Any], slot: str) -> dict[str, Any]:
    if "not_run" in evaluation:
        return {"not_run": evaluation["not_run"]}
    probes = evaluation["datasets"][slot]["probes"]
    return {probe: {score: result[score] for score in SCORES} for probe, result in probes.items()}


def metrics(study: Study) -> dict[str, Any]:
    """Return what metrics.json holds: the accuracies by dataset, and a block on the study itself."""
    by_dataset = {dataset.key: accuracies(study.evaluations, dataset.slot) for dataset in study.datasets}
    return by_dataset | {"study": facts(study)}


def top1(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return what top1.json holds, of `metrics`: {dataset: {encoder: top-1 of the linear probe}} where it ran."""
    return {
        dataset: {encoder: probes[PROBE]["top1"] for encoder, probes in found[dataset].items() if PROBE in probes}
        for dataset in found["study"]["datasets"]
    }


def facts(study: Study) -> dict[str, Any]:
    """Return what one needs to know to judge or repeat the numbers."""
    seconds = {entry["stage"]: entry["seconds"] for entry in study.seconds}
    return {
        "name": study.name,
        "source": study.sizes["source"],
        "sizes": study.sizes,
        "protocol": study.protocol,
        "seed": study.seed,
        "datasets": {dataset.key: _describe(dataset) for dataset in study.datasets},
        "device": "; ".join(study.devices),
        "commit": study.commit,
        "versions": study.versions,
        "seconds": seconds | {"total": round(sum(seconds.values()), 2)},
    }


def _describe(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "genuine": dataset.genuine,
        "classes": len(dataset.classes),
        "images": dataset.purposes,
        "fingerprints": dataset.fingerprints,
    }
