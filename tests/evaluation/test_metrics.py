"""Accuracies and intervals against scikit-learn, hand counts and the binomial distribution."""

import numpy as np
import pytest

from vicreg.evaluation.intervals import bootstrap_interval, pack_bits, paired_interval, unpack_bits
from vicreg.evaluation.metrics import accuracies, confusion_matrix, fit_scaler, topk, topk_correct


def test_top_k_equals_scikit_learns():
    from sklearn.metrics import top_k_accuracy_score

    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(500, 20)), random.integers(0, 20, 500)
    result = accuracies(topk(scores), labels)
    assert result["top1"] == top_k_accuracy_score(labels, scores, k=1, labels=np.arange(20))
    assert result["top5"] == top_k_accuracy_score(labels, scores, k=5, labels=np.arange(20))


def test_a_hit_is_counted_by_hand():
    predictions, labels = np.array([[0, 1], [2, 0], [1, 2]]), np.array([0, 0, 0])
    assert topk_correct(predictions, labels, 1).tolist() == [True, False, False]
    assert topk_correct(predictions, labels, 2).tolist() == [True, True, False]


def test_with_fewer_than_five_classes_top_5_is_certain():
    assert accuracies(topk(np.eye(3)), np.array([2, 0, 1])) == {"top1": 0.0, "top5": 1.0}


@pytest.mark.parametrize("n, right", [(500, 350), (5000, 4600), (200, 10)])
def test_the_bootstrap_interval_is_that_of_resampled_images(n, right):
    correct = np.arange(n) < right
    random = np.random.default_rng(1)
    means = [correct[random.integers(0, n, n)].mean() for _ in range(4000)]
    low, high = bootstrap_interval(correct, seed=0)
    assert low == pytest.approx(np.quantile(means, 0.025), abs=0.15 * (high - low))
    assert high == pytest.approx(np.quantile(means, 0.975), abs=0.15 * (high - low))
    assert low < right / n < high


def test_the_interval_covers_the_truth_19_times_in_20():
    random, covered = np.random.default_rng(2), 0
    for seed in range(300):
        low, high = bootstrap_interval(random.random(400) < 0.7, seed, resamples=2000)
        covered += low <= 0.7 <= high
    assert 0.91 < covered / 300 < 0.98


def test_a_paired_interval_is_that_of_resampled_pairs():
    random = np.random.default_rng(3)
    baseline = random.random(800) < 0.5
    better = np.where(random.random(800) < 0.9, baseline, True)
    draws = []
    for _ in range(3000):
        chosen = random.integers(0, 800, 800)
        draws.append(better[chosen].mean() - baseline[chosen].mean())
    low, high = paired_interval(better, baseline, seed=0)
    assert low == pytest.approx(np.quantile(draws, 0.025), abs=0.15 * (high - low))
    assert high == pytest.approx(np.quantile(draws, 0.975), abs=0.15 * (high - low))
    assert 0 < low < (better.mean() - baseline.mean()) < high


def test_equal_hits_differ_by_nothing():
    correct = np.arange(50) % 3 == 0
    assert paired_interval(correct, correct, seed=0) == (0.0, 0.0)


@pytest.mark.parametrize("count", [1, 8, 13])
def test_hits_come_back_from_text(count):
    correct = np.random.default_rng(count).random(count) < 0.5
    np.testing.assert_array_equal(unpack_bits(pack_bits(correct), count), correct)


def test_scores_that_are_nan_are_an_error_and_not_a_ranking():
    with pytest.raises(ValueError, match="not finite"):
        topk(np.array([[0.1, np.nan]]))


def test_the_confusion_equals_scikit_learns():
    from sklearn import metrics

    random = np.random.default_rng(0)
    predictions, labels = random.integers(0, 6, (200, 5)), random.integers(0, 6, 200)
    expected = metrics.confusion_matrix(labels, predictions[:, 0], labels=np.arange(7))
    np.testing.assert_array_equal(confusion_matrix(predictions, labels, 7), expected)


def test_scaled_features_are_those_of_scikit_learn():
    from sklearn.preprocessing import StandardScaler

    features = np.random.default_rng(0).normal(3, 5, (50, 4)).astype("float32")
    mean, scale = fit_scaler(features)
    np.testing.assert_allclose((features - mean) * scale, StandardScaler().fit_transform(features), atol=1e-5)


def test_a_constant_dimension_becomes_zero():
    mean, scale = fit_scaler(np.full((5, 1), 3.0, "float32"))
    assert mean == 3 and scale == 0


def test_without_standardization_nothing_changes():
    features = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    mean, scale = fit_scaler(features, standardize=False)
    assert ((features - mean) * scale).tobytes() == features.tobytes()
