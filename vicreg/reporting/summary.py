"""Sentences: what the numbers answer, made from the numbers, and what they do not say."""

from typing import Any

from vicreg.reporting.curves import PROBE
from vicreg.reporting.markdown import code, count, escape, percent, points
from vicreg.reporting.metrics import BASELINE, Accuracies, accuracies, best_two
from vicreg.reporting.study import Dataset, Study
from vicreg.reporting.tables import probes_of

PURPOSES = {
    "pretrain": "pretraining",
    "probe_train": "training the probes",
    "probe_test": "testing the probes",
}


def answer(found: Accuracies) -> str:
    """Return one sentence: how each encoder compares with the baseline under the linear probe."""
    probes = probes_of(found)
    if not probes:
        return "No encoder ran, so there is nothing to compare."
    probe = PROBE if PROBE in probes else probes[0]
    ran = {encoder: entry[probe] for encoder, entry in found.items() if probe in entry}
    if BASELINE not in ran:
        reached = ", ".join(f"{code(encoder)} {percent(score['top1'])} %" for encoder, score in ran.items())
        return f"Without {code(BASELINE)} there is no gain to state; top-1 with the {probe} probe: {reached}."
    others = [_clause(encoder, score, ran[BASELINE]) for encoder, score in ran.items() if encoder != BASELINE]
    if not others:
        return f"Only {code(BASELINE)} ran: {percent(ran[BASELINE]['top1'])} % top-1 with the {probe} probe."
    return f"With the {probe} probe, {'; '.join(others)}."


def headline(study: Study) -> str:
    """Return the study's answer in one sentence: the best encoder of each dataset, and whether its lead is one."""
    clauses = [clause for dataset in study.datasets if (clause := _result(study, dataset))]
    if not clauses:
        return f"No encoder ran the {PROBE} probe, so there is no answer yet."
    return f"On {'; on '.join(clauses)}."


def _result(study: Study, dataset: Dataset) -> str:
    found = accuracies(study.evaluations, dataset.slot)
    ran = {encoder: entry[PROBE] for encoder, entry in found.items() if PROBE in entry}
    if not ran:
        return ""
    best = max(ran, key=lambda encoder: (encoder != BASELINE, ran[encoder]["top1"]))
    parts = [f"{escape(dataset.name)}, {code(best)} reaches {percent(ran[best]['top1'])} % top-1 with a {PROBE} probe"]
    if "gain" in ran[best] and best != BASELINE:
        parts.append(_over_baseline(ran[best]))
    if pair := best_two(study.evaluations, dataset.slot, PROBE):
        second = f"{code(pair['second'])} ({percent(ran[pair['second']]['top1'])} %)"
        lead = f"{points(pair['difference']).lstrip('+')} points ahead of {second}"
        parts.append(lead if pair["low"] > 0 else f"without a lead over {second} that these test images could show")
    return ", ".join(parts)


def _over_baseline(score: dict[str, float]) -> str:
    side = (
        f"{points(abs(score['gain'])).lstrip('+')} points {'above' if score['gain'] >= 0 else 'below'} {code(BASELINE)}"
    )
    return f"{side}, which may be chance" if score["gain_low"] <= 0 <= score["gain_high"] else side


def versus(pair: dict[str, Any]) -> str:
    """Return one sentence on the two best encoders: which is ahead, and whether the test images can tell."""
    spread = f"95 % interval over test images, not over seeds: {points(pair['low'])} to {points(pair['high'])}"
    verdict = "" if pair["low"] > 0 else "; it holds 0, so this may be chance"
    ahead = f"{code(pair['best'])} is {points(pair['difference'])} points ahead of {code(pair['second'])}"
    return f"{ahead} with the {PROBE} probe ({spread}{verdict})."


def _clause(encoder: str, score: dict[str, float], baseline: dict[str, float]) -> str:
    versus = f"{percent(score['top1'])} % against {percent(baseline['top1'])} %"
    difference = f"{points(score['gain'])} points of top-1"
    if score["gain_low"] <= 0 <= score["gain_high"]:
        spread = f"{points(score['gain_low'])} to {points(score['gain_high'])}"
        doubt = f"the difference's 95 % interval, {spread}, holds 0, so this may be chance"
        return f"{code(encoder)} is {difference} from {code(BASELINE)} ({versus}), but {doubt}"
    if score["gain"] < 0:
        return f"{code(encoder)} loses: {difference} from {code(BASELINE)} ({versus})"
    return f"{code(encoder)} gains {difference} over {code(BASELINE)} ({versus})"


def warning(dataset: Dataset) -> str | None:
    """Return what must be said of data that is not genuine CIFAR; None where it is."""
    if dataset.genuine:
        return None
    if dataset.drawn:
        return (
            "**These are drawn pictures, not CIFAR: the figures say whether the pipeline works, not how good "
            "the method is.** No published figure stands beside them."
        )
    return (
        f"**{escape(dataset.name)} is not complete CIFAR as its authors publish it: published figures are "
        "not comparable, so none stands beside these.**"
    )


def sizes(dataset: Dataset) -> str:
    """Return how many images and classes there are, by purpose."""
    known = [(words, dataset.purposes[name]) for name, words in PURPOSES.items() if name in dataset.purposes]
    purposes = [f"{count(number, 'image')} for {words}" for words, number in known]
    return f"{count(len(dataset.classes))} classes; {', '.join(purposes)}."


def training(study: Study) -> str:
    """Return what else a published figure should be compared by: the width and the length of the training."""
    width, epochs = study.sizes["width"], study.sizes["epochs"]
    return f"ResNet-18 of width {width} ({8 * width} dimensions), {epochs} epochs of pretraining."


def settings(study: Study, dataset: Dataset) -> list[str]:
    """Return one line per probe: its settings, by encoder where they differ."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for encoder, evaluation in study.evaluations.items():
        for probe, result in evaluation.get("datasets", {}).get(dataset.slot, {}).get("probes", {}).items():
            plain = {key: value for key, value in result["settings"].items() if not isinstance(value, dict)}
            for key, value in plain.items():
                found.setdefault(probe, {}).setdefault(key, {})[encoder] = value
    return [f"{probe}: {', '.join(map(_setting, keys.items()))}" for probe, keys in found.items()]


def _setting(item: tuple[str, dict[str, Any]]) -> str:
    key, by_encoder = item
    values = list(by_encoder.values())
    if all(value == values[0] for value in values):
        return setting(key, values[0])
    return f"{_words(key)} " + ", ".join(f"{escape(str(v))} for {code(e)}" for e, v in by_encoder.items())


def setting(key: str, value: Any) -> str:
    """Return a setting in words: width 8, standardise yes, fractions (pretrain 0.1, probe 0.1)."""
    if isinstance(value, dict):
        return f"{_words(key)} ({', '.join(setting(k, v) for k, v in value.items())})"
    text = {"True": "yes", "False": "no", "None": "none"}.get(str(value), str(value))
    return f"{_words(key)} {escape(text)}"


def _words(key: str) -> str:
    return escape(key.replace("_", " "))


def at_chance(study: Study, dataset: Dataset) -> list[str]:
    """Return which encoders a probe cannot tell from chance, by its own finding."""
    lines = []
    for encoder, evaluation in study.evaluations.items():
        results = evaluation.get("datasets", {}).get(dataset.slot, {}).get("probes", {})
        names = [probe for probe, result in results.items() if result.get("at_chance")]
        if names:
            probes = f"the {'probe' if len(names) == 1 else 'probes'} {', '.join(names)}"
            lines.append(f"{code(encoder)} cannot be told from chance by {probes}, which separate synthetic features.")
    return lines


def not_run(found: Accuracies) -> list[str]:
    """Return why encoders did not take part, in words."""
    return [f"{code(name)} was {entry['not_run']}." for name, entry in found.items() if "not_run" in entry]
