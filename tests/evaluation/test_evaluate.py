"""A probe is scored on images it never saw, and one at chance is tried on features that are easy to separate."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from blobs import blobs
from sklearn.neighbors import KNeighborsClassifier
from tiny import CPU

from vicreg.evaluation import evaluate
from vicreg.evaluation.classifier import Classifier
from vicreg.evaluation.evaluate import (
    evaluate_probe,
    fit_and_score,
    metrics_by_epoch,
    separable_features,
    summarize,
    validation,
)
from vicreg.evaluation.features import FeatureSet
from vicreg.evaluation.intervals import unpack_bits
from vicreg.evaluation.probe import Probe, build
from vicreg.evaluation.probes.linear import Linear
from vicreg.io import plugins

PROBES = plugins.names("probes")


def evaluated(probe: str, features: FeatureSet, **params: Any) -> dict[str, Any]:
    return evaluate_probe(probe, params, features, seed=0, device=CPU)[0]


def fixed(best: list[list[int]]) -> Probe:
    """A probe whose classifiers predict these classes, an epoch after the other, whatever the features are."""

    class Fixed(Classifier):
        def __init__(self, order):
            super().__init__({"order": order})

        def scores(self, features):
            return torch.eye(4)[self.get_buffer("order")]

    class Scripted(Probe):
        def fit(self, features, labels, *, num_classes, seed, device):
            for order in best:
                yield Fixed(torch.tensor(order))

    return Scripted(None)


def test_the_last_epoch_counts_even_if_not_the_best():
    features = replace(blobs(count=4), test_labels=np.arange(4))
    result, classifier = fit_and_score(fixed([[0, 1, 2, 3], [0, 1, 3, 2]]), features, 0, CPU)
    assert [point["top1"] for point in result["curve"]] == [1.0, 0.5] and result["top1"] == 0.5
    assert classifier.get_buffer("order").tolist() == [0, 1, 3, 2]
    np.testing.assert_array_equal(unpack_bits(result["hits"], 4), [True, True, False, False])
    assert result["confusion"] == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]]
    assert fit_and_score(fixed([[0, 1, 2, 3]]), features, 0, CPU)[0]["curve"] == []


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_gives_a_whole_result(name):
    features = blobs(noise=2.0)
    result = evaluated(name, features)
    assert 0.3 < result["top1_low"] < result["top1"] < result["top1_high"] and result["top5"] == 1
    assert 0.3 < result["val_top1"] < 1 and not result["at_chance"] and result["seconds"] >= 0
    assert result["settings"].items() >= {**build(name, {}).params.model_dump(), **result["settings"]}.items()
    assert np.array(result["confusion"]).trace() / 400 == result["top1"]
    logged = [entry for entry, _ in metrics_by_epoch(name, {}, result)]
    assert logged[-1]["val_top1"] == result["val_top1"] and logged[-2]["top1"] == result["top1"]
    assert summarize(name, result, features).startswith(f"blobs: {name}: top-1 {100 * result['top1']:.1f}%")


# --- Validation ------------------------------------------------------------------------------------------------


def test_validation_sees_no_test_image():
    features = blobs(noise=2.0)
    garbage = replace(features, test=np.full_like(features.test, 1e3))
    for name in PROBES:
        assert evaluated(name, features)["val_top1"] == evaluated(name, garbage)["val_top1"], name


def test_validation_is_a_fifth_of_each_class():
    features = replace(blobs(count=100), train_labels=np.repeat(np.arange(4), [40, 40, 19, 1]))
    part = validation(features, seed=0)
    assert np.bincount(part.train_labels).tolist() == [32, 32, 15, 1]
    assert np.bincount(part.test_labels).tolist() == [8, 8, 4]
    rows = np.concatenate([part.train, part.test])
    assert {row.tobytes() for row in rows} == {row.tobytes() for row in features.train}
    assert not np.array_equal(part.test, validation(features, seed=1).test)
    with pytest.raises(ValueError, match="no class has two training images: raise the fraction `probe`"):
        validation(blobs(count=4), seed=0)


def test_the_validation_accuracy_is_that_of_a_fit_on_the_rest():
    features = blobs(noise=2.0)
    part = validation(features, seed=0)
    model = KNeighborsClassifier(20, metric="cosine", weights=lambda distance: np.exp(-distance / 0.07))
    expected = model.fit(part.train, part.train_labels).score(part.test, part.test_labels)
    assert evaluated("knn", features, k=20)["val_top1"] == pytest.approx(expected, abs=0.02)


# --- Chance ----------------------------------------------------------------------------------------------------


class Shuffled(Linear):
    """A broken probe: it learns the labels of other images."""

    def fit(self, features, labels, **numbers):
        return super().fit(features, np.random.default_rng(1).permutation(labels), **numbers)


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.parametrize(("count", "dimensions", "classes"), [(300, 16, 10), (900, 16, 100)])
def test_every_probe_separates_what_can_be_separated(name, count, dimensions, classes):
    easy = separable_features((count, dimensions), classes, seed=0)
    assert fit_and_score(build(name, {}), easy, 0, CPU)[0]["top1"] > 0.9


@pytest.mark.parametrize("name", PROBES)
def test_a_sound_probe_on_empty_features_is_at_chance(name):
    random = np.random.default_rng(5)
    train, test = (random.normal(size=(400, 12)).astype("float32") for _ in "ab")
    empty = replace(blobs(), train=train, test=test)
    result = evaluated(name, empty)
    assert result["at_chance"] is True
    assert "chance, 25.0%, is in the 95 % interval" in summarize(name, result, empty)


@pytest.mark.parametrize("params", [{"lr": 1e-30, "epochs": 2}, {"lr": 0.3, "batch_size": 10}])
def test_a_broken_probe_stops_the_study_and_is_named(monkeypatch, params):
    if params["lr"] > 0.1:
        monkeypatch.setattr(evaluate, "build", lambda name, numbers: Shuffled(Linear.Params(**numbers)))
    message = rf"the probe linear is at chance.*it is broken, or `probes\.linear` .* \{{'lr': {params['lr']}"
    with pytest.raises(ValueError, match=message):
        evaluated("linear", blobs(), **params)
