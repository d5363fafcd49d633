"""Metrics: every accuracy with its gain over the baseline, from unrounded values."""

from typing import Any

from vicreg.evaluation.intervals import paired_interval, unpack_bits
from vicreg.reporting.curves import PROBE, probe_results
from vicreg.reporting.study import STATES, Results, Study

BASELINE = "random"
SCORES = ("top1", "top1_low", "top1_high", "top5")
FACTS = ("name", "sizes", "protocol", "seed", "recipes", "versions", "evaluated_by", "commit")  # of a study


def accuracies(evaluations: Results, role: str) -> Results:
    """Return {row: {probe: {"top1", "top1_low", "top1_high", "top5", "gain"}}}, all in [0, 1].

    `gain` is the difference of top-1 to the row named `random` under the same probe, `gain_low` and `gain_high` its
    95 % interval on the same test images; there is none without such a row. A row without numbers has the reason in
    words instead: {"not_run": ...} or {"collapsed": ...}.
    """
    results = probe_results(evaluations, role)
    baseline = results.get(BASELINE, {})
    scores: Results = {row: {s: e[s] for s in STATES if s in e} for row, e in evaluations.items()}
    for row, probes in results.items():
        for probe, result in probes.items():
            scores[row][probe] = {score: result[score] for score in SCORES}
            if probe in baseline:
                low, high = _paired(evaluations, role, probe, row, BASELINE)
                gain = result["top1"] - baseline[probe]["top1"]
                scores[row][probe] |= {"gain": gain, "gain_low": low, "gain_high": high}
    return scores


def probes_of(entry: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The scores of a row by probe; none where it has a reason in words instead."""
    return {probe: score for probe, score in entry.items() if probe not in STATES}


def _paired(evaluations: Results, role: str, probe: str, *rows: str) -> tuple[float, float]:
    """The 95 % interval of the difference of top-1 of two rows, image by image."""
    datasets = [evaluations[row]["datasets"][role] for row in rows]
    first, second = (unpack_bits(dataset["probes"][probe]["hits"], dataset["test"]) for dataset in datasets)
    return paired_interval(first, second, seed=0)


def best(evaluations: Results, role: str) -> str | None:
    """Return the row whose linear probe has the highest top-1, the baseline only if it ran alone; None if none ran."""
    scores = {row: p[PROBE]["top1"] for row, p in probe_results(evaluations, role).items() if PROBE in p}
    return max(scores, key=lambda row: (row != BASELINE, scores[row]), default=None)


def best_two(evaluations: Results, role: str, probe: str) -> dict[str, Any] | None:
    """Return the rows with the highest top-1, their difference and its 95 % interval on the same test images.

    None where fewer than two rows beside the baseline ran, or none of them is above it.
    """
    scores = {row: p[probe]["top1"] for row, p in probe_results(evaluations, role).items() if probe in p}
    baseline = scores.pop(BASELINE, 0.0)
    ranked = sorted(scores, key=lambda row: -scores[row])[:2]
    if len(ranked) < 2 or scores[ranked[0]] <= baseline:
        return None
    best, second = ranked
    low, high = _paired(evaluations, role, probe, best, second)
    return {"best": best, "second": second, "difference": scores[best] - scores[second], "low": low, "high": high}


def metrics(study: Study) -> dict[str, Any]:
    """Return what metrics.json holds: the accuracies by dataset, and a block on the study itself."""
    scores = {d.key: accuracies(study.evaluations, d.role) if d.classes else {} for d in study.datasets}
    return scores | {"study": facts(study)}


def hits(study: Study) -> dict[str, Any]:
    """Return what hits.json holds, to compare reports: {dataset: {"images", "hits": {row: {probe: packed bits}}}}."""
    return {
        d.key: {
            "images": d.subsets.get("probe_test", 0),
            "hits": {r: {p: result["hits"] for p, result in probes.items()} for r, probes in ran.items()},
        }
        for d in study.labeled
        if (ran := probe_results(study.evaluations, d.role))
    }


def top1(scores: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return what top1.json holds, of `metrics`: {dataset: {row: top-1 of the linear probe}} where it ran."""
    return {
        dataset: {row: probes[PROBE]["top1"] for row, probes in scores[dataset].items() if PROBE in probes}
        for dataset in scores["study"]["datasets"]
    }


def facts(study: Study) -> dict[str, Any]:
    """Return what one needs to know to judge or repeat the numbers."""
    seconds = {entry["stage"]: entry["seconds"] for entry in study.seconds}
    return {
        **{key: getattr(study, key) for key in FACTS},
        "source": study.sizes.get("source"),
        "datasets": {
            dataset.key: {"classes": len(dataset.classes), "images": dataset.subsets}
            | {key: getattr(dataset, key) for key in ("name", "genuine", "synthetic", "fingerprints")}
            for dataset in study.datasets
        },
        "device": "; ".join(study.devices),
        "seconds": seconds | {"total": round(sum(seconds.values()), 2)},
    }
