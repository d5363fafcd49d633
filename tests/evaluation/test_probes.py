"""The probes against scikit-learn, run on its own, and a contract that every probe keeps."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from tiny import CPU

from vicreg.evaluation.classifier import Classifier
from vicreg.evaluation.metrics import fit_scaler
from vicreg.evaluation.probe import Probe, build
from vicreg.io import plugins

PROBES = plugins.names("probes")


@pytest.fixture(scope="module")
def features() -> tuple[np.ndarray, ...]:
    """Overlapping clusters: 4 classes, 600 training and 400 test features of 12 dimensions of unlike scale."""
    random = np.random.default_rng(0)
    centers, scale = random.normal(size=(4, 12)), 10.0 ** random.uniform(-1, 1, 12)
    labels = [np.arange(n) % 4 for n in (600, 400)]
    train, test = (((centers[y] + 1.2 * random.normal(size=(len(y), 12))) * scale).astype("float32") for y in labels)
    return train, labels[0], test, labels[1]


def fitted(name: str, train: np.ndarray, labels: np.ndarray, num_classes: int = 4, **params: Any) -> tuple:
    """The probe, and the classifiers that it yields."""
    probe = build(name, params)
    return probe, list(probe.fit(train, labels, num_classes=num_classes, seed=0, device=CPU))


def predictions(classifier: Classifier, test: np.ndarray) -> np.ndarray:
    return classifier.predict(test, CPU)


def test_the_linear_probe_reaches_scikit_learns_optimum(features):
    from sklearn.linear_model import LogisticRegression

    train, labels, test, _ = features
    decay = 1e-2
    _, classifiers = fitted("linear", train, labels, epochs=500, lr=0.3, weight_decay=decay, batch_size=600)
    mean, scale = fit_scaler(train)
    x, x_test = (np.pad((part - mean) * scale, ((0, 0), (0, 1)), constant_values=1) for part in (train, test))
    model = LogisticRegression(C=1 / (decay * len(x)), tol=1e-8, max_iter=2000, fit_intercept=False)
    scores = model.fit(x, labels).decision_function(x_test)  # the constant feature is a bias that decays, as ours
    assert (predictions(classifiers[-1], test) == np.argsort(-scores, axis=1)).mean() > 0.99


def test_the_linear_probe_yields_a_classifier_per_epoch(features):
    train, labels, _, _ = features
    _, classifiers = fitted("linear", train, labels, epochs=3)
    weights = [classifier.weight for classifier in classifiers]
    assert len(weights) == 3 and not torch.equal(weights[0], weights[2])


def test_the_logistic_probe_is_scikit_learns_at_the_best_c(features):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, labels, test, _ = features
    probe, (classifier,) = fitted("logistic", train, labels, C=[1e-4, 0.1, 10.0])
    trials = probe.chosen["held_out_top1"]
    assert trials[str(probe.chosen["C"])] == max(trials.values()) == probe.val_top1
    model = make_pipeline(StandardScaler(), LogisticRegression(C=probe.chosen["C"], max_iter=300)).fit(train, labels)
    assert (predictions(classifier, test)[:, 0] == model.predict(test)).mean() > 0.995
    assert probe.chosen["converged"]


def test_a_logistic_fit_that_stops_early_says_so(features):
    train, labels, _, _ = features
    probe, _ = fitted("logistic", train, labels, C=[1.0], max_iter=2)
    assert probe.chosen["converged"] is False and probe.val_top1 is None


def test_a_class_that_cannot_be_held_out_is_an_error(features):
    labels = np.arange(600) % 3
    labels[0] = 3
    with pytest.raises(ValueError, match="a class has a single training image: raise the fraction `probe`"):
        fitted("logistic", features[0], labels, C=[0.1, 1.0])
    fitted("logistic", features[0], labels, C=[0.1])


@pytest.mark.parametrize("k", [1, 20, 10_000])
def test_the_knn_probe_agrees_with_scikit_learns(features, k):
    from sklearn.neighbors import KNeighborsClassifier

    train, labels, test, _ = features
    probe, (classifier,) = fitted("knn", train, labels, k=k, temperature=0.1)
    model = KNeighborsClassifier(
        min(k, 600), metric="cosine", algorithm="brute", weights=lambda distance: np.exp(-distance / 0.1)
    ).fit(train, labels)
    assert (predictions(classifier, test)[:, 0] == model.predict(test)).mean() > 0.995
    assert probe.chosen["k"] == min(k, 600)


# --- What every probe keeps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_learns_and_is_deterministic(features, name):
    train, labels, test, test_labels = features
    copies, states = (train.copy(), labels.copy()), (torch.get_rng_state(), np.random.get_state()[1].copy())  # type: ignore[index]
    (_, first), (_, again) = (fitted(name, train, labels) for _ in range(2))
    assert all(isinstance(classifier, Classifier) for classifier in first)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(predictions(one, test), predictions(other, test))
    assert (predictions(first[-1], test)[:, 0] == test_labels).mean() > 0.4  # chance: 0.25
    np.testing.assert_array_equal(np.sort(predictions(first[-1], test)), np.tile(np.arange(4), (400, 1)))
    np.testing.assert_array_equal(train, copies[0])
    np.testing.assert_array_equal(labels, copies[1])
    assert torch.equal(states[0], torch.get_rng_state())
    np.testing.assert_array_equal(states[1], np.random.get_state()[1])  # type: ignore[index]


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_takes_a_class_without_images(features, name):
    train, labels, test, _ = features
    _, classifiers = fitted(name, train, labels, num_classes=7)
    found = predictions(classifiers[-1], test)
    assert found.shape == (400, 5) and found[:, 0].max() < 4


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_declares_its_parameters(name):
    probe = build(name, {})
    assert isinstance(probe, Probe) and probe.params.model_dump()
    with pytest.raises(ValueError, match="temperament"):
        build(name, {"temperament": 1})


def test_the_mlp_probe_computes_what_scikit_learns_does_with_its_weights(features):
    from sklearn.neural_network import MLPClassifier

    train, labels, test, _ = features
    _, classifiers = fitted("mlp", train, labels, hidden=20, lr=[0.1], weight_decay=[1e-3])
    ours, (mean, scale) = classifiers[-1], fit_scaler(train)
    theirs = MLPClassifier((20,), max_iter=1, solver="lbfgs")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one iteration is not enough, and is thrown away
        theirs.fit((train - mean) * scale, labels)
    theirs.coefs_ = [ours.weight1.numpy().T, ours.weight2.numpy().T]
    theirs.intercepts_ = [ours.bias1.numpy(), ours.bias2.numpy()]
    expected = theirs.predict_proba((test - mean) * scale)
    np.testing.assert_allclose(ours(torch.from_numpy(test)).numpy(), expected, atol=1e-5)


def test_the_mlp_probe_learns_what_no_linear_one_can():
    x = np.random.default_rng(0).uniform(-1, 1, (2000, 2)).astype("float32")
    labels = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    tops = {}
    for name, numbers in (("mlp", {"hidden": 64, "epochs": 40}), ("linear", {"epochs": 40})):
        _, classifiers = fitted(name, x[:1500], labels[:1500], 2, **numbers)
        tops[name] = (predictions(classifiers[-1], x[1500:])[:, 0] == labels[1500:]).mean()
    assert tops["mlp"] > 0.95 > 0.65 > tops["linear"]


def test_the_mlp_probe_chooses_on_a_part_held_out(features):
    train, labels, _, _ = features
    probe, classifiers = fitted("mlp", train, labels, hidden=16, lr=[1e-6, 0.1], weight_decay=[1e-4, 100.0])
    assert (probe.chosen["lr"], probe.chosen["weight_decay"]) == (0.1, 1e-4)
    scores = probe.chosen["held_out_top1"]
    assert len(scores) == 4 and probe.val_top1 == max(scores.values()) == scores["lr 0.1, decay 0.0001"]
    alone, again = fitted("mlp", train, labels, hidden=16, lr=[0.1], weight_decay=[1e-4])
    assert torch.equal(again[-1].weight1, classifiers[-1].weight1)  # fitted to all training features
    assert alone.val_top1 is None
    with pytest.raises(ValueError, match="single training image"):
        fitted("mlp", train[:5], np.array([0, 0, 1, 2, 2]))


def test_a_rate_in_steps_falls_to_a_tenth_after_each_drop(features, monkeypatch):
    train, labels, _, _ = features
    rates, step = [], torch.optim.SGD.step

    def recorded(self: torch.optim.SGD, *args: Any) -> Any:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    fitted("linear", train, labels, epochs=4, schedule="steps", drops=[1, 3], batch_size=300, lr=0.5)
    assert rates == pytest.approx([0.5] * 2 + [0.05] * 4 + [0.005] * 2)  # two steps an epoch
