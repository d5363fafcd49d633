"""Evaluate a probe on frozen features: accuracies with their interval, by epoch and by class, and what it learned."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from vicreg.evaluation.classifier import Classifier
from vicreg.evaluation.features import FeatureSet
from vicreg.evaluation.few_labels import held_out
from vicreg.evaluation.intervals import bootstrap_interval, pack_bits
from vicreg.evaluation.metrics import accuracies, confusion_matrix, topk_correct
from vicreg.evaluation.probe import Probe, build

MAX_TRAIN, NUM_TEST = 5000, 2000  # synthetic images of a sanity check: enough to be sure, in seconds
Result = dict[str, Any]
NOISE = 0.1  # their standard deviation around centers whose coordinates have 1


def evaluate_probe(
    name: str, params: Mapping[str, Any], features: FeatureSet, *, seed: int, device: torch.device
) -> tuple[Result, Classifier]:
    """Train the probe `name` with its `params` on `features`; return its result as plain values, and its classifier.

    The result has what `fit_and_score` gives; `val_top1`, the top-1 on training images that were held out, by which
    one may choose among probes and encoders; the `settings` with those that the probe chose; and the `seconds`, without
    those for `val_top1`. Raises ValueError where the probe is at chance on features that are easy to separate, too.
    """

    def refit(other: FeatureSet) -> Result:
        return fit_and_score(build(name, params), other, seed, device)[0]

    start, probe = time.perf_counter(), build(name, params)
    result, classifier = fit_and_score(probe, features, seed, device)
    result["seconds"] = round(time.perf_counter() - start, 2)
    shape, num_classes = features.train.shape, len(features.classes)
    if result["at_chance"] and refit(separable_features(shape, num_classes, seed))["at_chance"]:
        raise ValueError(
            f"the probe {name} is at chance, with {result['top1']:.1%}, and also on features that are easy to "
            f"separate: it is broken, or `probes.{name}` in params.yaml is, {dict(params)}"
        )
    result["val_top1"] = refit(validation(features, seed))["top1"] if probe.val_top1 is None else probe.val_top1
    return {**result, "settings": {**probe.params.model_dump(), **probe.chosen}}, classifier.cpu()


def fit_and_score(probe: Probe, features: FeatureSet, seed: int, device: torch.device) -> tuple[Result, Classifier]:
    """Train on the training features, score on the test features after each epoch; the last epoch counts.

    Returns top1, its 95 % interval top1_low and top1_high, top5, the curve over epochs where there are several, which
    images were right (`hits`, see `unpack_bits`), so that encoders can be compared image by image, the confusion
    (C, C), and `at_chance`: whether the interval reaches down to a random prediction. And the classifier.
    """
    labels, num_classes, predictions = features.test_labels, len(features.classes), []
    numbers: dict[str, Any] = {"num_classes": num_classes, "seed": seed, "device": device}
    for classifier in probe.fit(features.train, features.train_labels, **numbers):
        predictions.append(classifier.predict(features.test, device))
    correct = topk_correct(predictions[-1], labels, 1)
    low, high = bootstrap_interval(correct, seed)
    curve = [{"epoch": epoch, **accuracies(it, labels)} for epoch, it in enumerate(predictions, 1)]
    return {
        **accuracies(predictions[-1], labels),
        "top1_low": low,
        "top1_high": high,
        "curve": curve if len(curve) > 1 else [],
        "hits": pack_bits(correct),
        "confusion": confusion_matrix(predictions[-1], labels, num_classes).tolist(),
        "at_chance": num_classes > 1 and low <= 1 / num_classes,
    }, classifier


def validation(features: FeatureSet, seed: int) -> FeatureSet:
    """The training features alone: those that `few_labels.held_out` draws test, the others train."""
    tests = held_out(features.train_labels, seed)
    if not tests.any():
        raise ValueError(f"{features.name}: no class has two training images: raise the fraction `probe`")
    train, test = ((features.train[mask], features.train_labels[mask]) for mask in (~tests, tests))
    return replace(features, train=train[0], train_labels=train[1], test=test[0], test_labels=test[1])


def separable_features(shape: tuple[int, ...], num_classes: int, seed: int) -> FeatureSet:
    """Synthetic features of this shape (N, D), of at most 5,000 images to train on: far centers, little noise."""
    random = np.random.default_rng(seed)
    centers = random.normal(size=(num_classes, shape[1]))
    labels = [np.arange(n, dtype=np.int64) % num_classes for n in (min(shape[0], MAX_TRAIN), NUM_TEST)]
    train, test = ((centers[y] + NOISE * random.normal(size=(len(y), shape[1]))).astype("float32") for y in labels)
    return FeatureSet(train, labels[0], test, labels[1], classes=tuple(map(str, range(num_classes))))


def metrics_by_epoch(name: str, params: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[tuple[dict, int]]:
    """Yield the numbers of a result that are worth a curve, each with its epoch, and what the probe chose itself."""
    given = build(name, params).params.model_dump()
    for point in result["curve"] or [{"epoch": 0, **result}]:
        yield {name: point[name] for name in ("top1", "top5")}, point["epoch"]
    chosen = {key: value for key, value in result["settings"].items() if value != given.get(key)}
    numbers = {f"chosen/{key}": value for key, value in chosen.items() if isinstance(value, (int, float))}
    yield {**{name: result[name] for name in ("top1_low", "top1_high", "val_top1")}, **numbers}, 0


def summarize(name: str, result: Mapping[str, Any], features: FeatureSet) -> str:
    """A line on a result for a person, and a second one where it is at chance."""
    line = f"{features.name}: {name}: top-1 {result['top1']:.1%}, top-5 {result['top5']:.1%}"
    if not result["at_chance"]:
        return line
    between, chance = f"{result['top1_low']:.1%} to {result['top1_high']:.1%}", f"{1 / len(features.classes):.1%}"
    return (
        f"{line}\nwarning: chance, {chance}, is in the 95 % interval, {between}; the probe separates synthetic features"
    )
