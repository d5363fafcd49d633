"""The probes against scikit-learn, run on its own, and a contract that every probe keeps."""

import inspect
from typing import get_args

import numpy as np
import pytest
import torch

from vicreg.evaluation.metrics import standardised
from vicreg.evaluation.probes import knn, linear, logistic
from vicreg.io import plugins
from vicreg.study.sections import Probes

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def features():
    """Overlapping clusters: 4 classes, 600 training and 400 test features of 12 dimensions of unlike scale."""
    random = np.random.default_rng(0)
    centres, scale = random.normal(size=(4, 12)), 10.0 ** random.uniform(-1, 1, 12)
    labels = [np.arange(n) % 4 for n in (600, 400)]
    train, test = (((centres[y] + 1.2 * random.normal(size=(len(y), 12))) * scale).astype("float32") for y in labels)
    return train, labels[0], test, labels[1]


def test_the_linear_probe_reaches_the_optimum_that_scikit_learn_finds(features):
    from sklearn.linear_model import LogisticRegression

    train, labels, test, _ = features
    decay = 1e-2
    guesses, _, _ = linear.guess(
        train, labels, test, classes=4, seed=0, device=CPU, epochs=500, lr=0.3, weight_decay=decay, batch_size=600
    )
    train, test = (np.pad(part, ((0, 0), (0, 1)), constant_values=1) for part in standardised(train, test))
    model = LogisticRegression(C=1 / (decay * len(train)), tol=1e-8, max_iter=2000, fit_intercept=False)
    scores = model.fit(train, labels).decision_function(test)  # the constant feature is a bias that decays, as ours
    assert (guesses[-1] == np.argsort(-scores, axis=1)).mean() > 0.99


def test_the_logistic_probe_is_scikit_learns_regression_at_the_c_that_does_best_on_held_out_training_features(features):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, labels, test, _ = features
    guesses, settings, _ = logistic.guess(train, labels, test, classes=4, seed=0, device=CPU, C=[1e-4, 0.1, 10.0])
    trials = settings["held_out_top1"]
    assert trials[str(settings["C"])] == max(trials.values())
    model = make_pipeline(StandardScaler(), LogisticRegression(C=settings["C"], max_iter=300)).fit(train, labels)
    assert (guesses[0][:, 0] == model.predict(test)).mean() > 0.995
    assert settings["converged"]


def test_a_logistic_fit_that_stops_early_says_so(features):
    train, labels, test, _ = features
    _, settings, _ = logistic.guess(train, labels, test, classes=4, seed=0, device=CPU, C=[1.0], max_iter=2)
    assert settings["converged"] is False


@pytest.mark.parametrize("k", [1, 20, 10_000])
def test_the_knn_probe_agrees_with_scikit_learns_weighted_neighbours(features, k):
    from sklearn.neighbors import KNeighborsClassifier

    train, labels, test, _ = features
    guesses, settings, _ = knn.guess(train, labels, test, classes=4, seed=0, device=CPU, k=k, temperature=0.1)
    model = KNeighborsClassifier(
        min(k, 600), metric="cosine", algorithm="brute", weights=lambda distance: np.exp(-distance / 0.1)
    ).fit(train, labels)
    assert (guesses[0][:, 0] == model.predict(test)).mean() > 0.995
    assert settings["k"] == min(k, 600)


def test_standardised_features_are_those_of_scikit_learn(features):
    from sklearn.preprocessing import StandardScaler

    train, _, test, _ = features
    scaler = StandardScaler().fit(train)
    for ours, theirs in zip(standardised(train, test), map(scaler.transform, (train, test)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_constant_dimension_becomes_zero():
    train, test = standardised(np.full((5, 1), 3.0, "float32"), np.full((2, 1), 9.0, "float32"))
    assert not train.any() and not test.any()


@pytest.mark.parametrize("name", sorted(plugins.names("probes")))
def test_no_probe_has_a_parameter_through_which_test_labels_could_come(name):
    parameters = inspect.signature(plugins.member("probes", name).guess).parameters
    section = get_args(Probes.model_fields[name].annotation)[0]
    expected = ["train", "labels", "test", "classes", "seed", "device", *section.model_fields]
    assert list(parameters) == expected, "beside the features: the numbers of params.yaml, and nothing else"
    kinds = [parameter.kind for parameter in parameters.values()]
    assert kinds[:3] == [inspect.Parameter.POSITIONAL_OR_KEYWORD] * 3
    assert set(kinds[3:]) == {inspect.Parameter.KEYWORD_ONLY}


def test_the_logistic_probe_says_so_where_a_class_cannot_be_held_out(features):
    train, _, test, _ = features
    labels = np.arange(600) % 3
    labels[0] = 3
    with pytest.raises(ValueError, match=r"1 classes have a single training image: raise the fraction `probe`"):
        logistic.guess(train, labels, test, classes=4, seed=0, device=CPU, C=[0.1, 1.0])
    logistic.guess(train, labels, test, classes=4, seed=0, device=CPU, C=[0.1])


@pytest.mark.parametrize("name", sorted(plugins.names("probes")))
def test_every_probe_keeps_the_contract(features, name):
    train, labels, test, test_labels = features
    guess = plugins.member("probes", name).guess
    needs = {"C": [1.0]} if name == "logistic" else {}
    guesses, settings, _ = guess(train, labels, test, classes=4, seed=0, device=CPU, **needs)
    again, _, _ = guess(train, labels, test, classes=4, seed=0, device=CPU, **needs)
    assert isinstance(settings, dict)
    for one, other in zip(guesses, again, strict=True):
        assert one.shape == (400, 4)
        np.testing.assert_array_equal(np.sort(one, axis=1), np.tile(np.arange(4), (400, 1)))
        np.testing.assert_array_equal(one, other)
    assert (guesses[-1][:, 0] == test_labels).mean() > 0.4  # chance: 0.25


@pytest.mark.parametrize("name", sorted(plugins.names("probes")))
def test_every_probe_takes_a_class_that_no_training_image_has(features, name):
    train, labels, test, _ = features
    needs = {"C": [1.0]} if name == "logistic" else {}
    guesses, _, _ = plugins.member("probes", name).guess(train, labels, test, classes=7, seed=0, device=CPU, **needs)
    assert guesses[-1].shape == (400, 5)
    assert guesses[-1][:, 0].max() < 4
