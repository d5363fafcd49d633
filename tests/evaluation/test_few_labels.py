"""Few labels: draws are stratified, nested and random, and what a probe chooses it chooses inside them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from blobs import blobs
from tiny import CPU

from vicreg.evaluation import few_labels
from vicreg.evaluation.few_labels import FewLabels, draw, draws, too_small
from vicreg.evaluation.probe import build

LABELS = np.random.default_rng(3).permutation(np.repeat([0, 1, 2], [200, 100, 50]))


def section(**changes: Any) -> FewLabels:
    values = {"fractions": [0.1, 1.0], "draws": 2, "probe": "logistic", "params": {"C": [0.1, 1.0], "folds": 3}}
    return FewLabels(**{**values, **changes})


def test_every_class_keeps_its_share():
    for fraction, counts in ((1.0, [200, 100, 50]), (0.1, [20, 10, 5]), (0.05, [10, 5, 3]), (0.03, [6, 3, 2])):
        assert np.bincount(LABELS[draw(LABELS, fraction, seed=0)]).tolist() == counts


def test_a_smaller_fraction_lies_in_a_larger_one_and_seeds_differ():
    for seed in range(5):
        small, large = (set(draw(LABELS, fraction, seed)) for fraction in (0.05, 0.3))
        assert small < large
    one, other = draws(LABELS, 0.1, 2, seed=4)
    assert set(one) != set(other) and np.array_equal(other, draw(LABELS, 0.1, seed=5))
    assert [len(rows) for rows in draws(LABELS, 1.0, 5, seed=4)] == [350]


def test_each_image_is_drawn_equally_often():
    times = np.zeros(len(LABELS))
    for seed in range(2000):
        times[draw(LABELS, 0.1, seed)] += 1
    deviation = (times - 200) / np.sqrt(2000 * 0.1 * 0.9)  # of a binomial count
    assert np.abs(deviation).max() < 4.5 and 0.9 < deviation.std() < 1.1


def test_a_class_with_fewer_than_two_images_leaves_a_fraction_out():
    assert "0.02 of 350 labels leaves 1 of 3 classes fewer than two: raise it" in str(too_small(LABELS, 0.02))
    assert too_small(LABELS, 0.1) is None
    features = blobs(count=40)
    whole, small = few_labels.evaluate(features, section(fractions=[0.1, 1.0]), seed=0, device=CPU)
    assert len(whole["top1"]) == 1 and "leaves 4 of 4 classes fewer than two" in small["left_out"]
    assert few_labels.describe(small).startswith("left out: a fraction of 0.1")


def test_scores_are_those_of_a_probe_on_the_draw():
    features = blobs(noise=2.0)
    small, whole = (results := few_labels.evaluate(features, section(), seed=1, device=CPU))[::-1]
    assert [r["fraction"] for r in results] == [1.0, 0.1] and (small["images"], whole["images"]) == (40, 400)
    assert len(small["top1"]) == 2 and len(whole["top1"]) == 1
    for n, rows in enumerate(draws(features.train_labels, 0.1, 2, seed=1)):
        probe = build("logistic", {"C": [0.1, 1.0], "folds": 3})
        part = features.train[rows], features.train_labels[rows]
        *_, classifier = probe.fit(*part, num_classes=4, seed=1, device=CPU)
        right = classifier.predict(features.test, CPU)[:, 0] == features.test_labels
        assert small["top1"][n] == pytest.approx(right.mean())
    assert few_labels.describe(small).startswith("40 labels: top-1 ")


def test_test_labels_choose_nothing():
    features = blobs(noise=2.0)
    other = replace(features, test_labels=(features.test_labels + 1) % 4)
    p = section(params={"C": [0.0001, 0.01, 1.0], "folds": 3})
    results = [few_labels.evaluate(it, p, seed=1, device=CPU) for it in (features, other)]
    chosen = [[each["chosen"] for each in result] for result in results]
    assert chosen[0] == chosen[1] and results[0][0]["top1"] != results[1][0]["top1"]


def test_c_is_chosen_by_cross_validation_as_scikit_learn_does():
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.model_selection import StratifiedKFold

    from vicreg.evaluation.metrics import fit_scaler

    features, C = blobs(count=60, noise=2.5), [0.001, 0.01, 0.1, 1.0]
    probe = build("logistic", {"C": C, "folds": 5})
    list(probe.fit(features.train, features.train_labels, num_classes=4, seed=0, device=CPU))
    mean, scale = fit_scaler(features.train)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegressionCV(
        Cs=C, cv=folds, max_iter=300, l1_ratios=(0.0,), use_legacy_attributes=False, scoring="accuracy"
    )
    model.fit((features.train - mean) * scale, features.train_labels)
    assert probe.chosen["C"] == model.C_
