"""Accuracies and intervals against scikit-learn, hand counts and the binomial distribution."""

import numpy as np
import pytest

from vicreg.evaluation.intervals import bootstrap_interval, packed, paired_interval, score, unpacked
from vicreg.evaluation.metrics import accuracies, hits, ranked


def test_top_k_equals_scikit_learns():
    from sklearn.metrics import top_k_accuracy_score

    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(500, 20)), random.integers(0, 20, 500)
    found = accuracies(ranked(scores), labels)
    assert found["top1"] == top_k_accuracy_score(labels, scores, k=1, labels=np.arange(20))
    assert found["top5"] == top_k_accuracy_score(labels, scores, k=5, labels=np.arange(20))


def test_a_hit_is_counted_by_hand():
    guesses, labels = np.array([[0, 1], [2, 0], [1, 2]]), np.array([0, 0, 0])
    assert hits(guesses, labels, 1).tolist() == [True, False, False]
    assert hits(guesses, labels, 2).tolist() == [True, True, False]


def test_with_fewer_than_five_classes_top_5_is_certain():
    assert accuracies(ranked(np.eye(3)), np.array([2, 0, 1])) == {"top1": 0.0, "top5": 1.0}


@pytest.mark.parametrize("n, right", [(500, 350), (5000, 4600), (200, 10)])
def test_the_bootstrap_interval_is_that_of_resampled_images(n, right):
    correct = np.arange(n) < right
    random = np.random.default_rng(1)
    means = [correct[random.integers(0, n, n)].mean() for _ in range(4000)]
    low, high = bootstrap_interval(correct, seed=0)
    assert low == pytest.approx(np.quantile(means, 0.025), abs=0.15 * (high - low))
    assert high == pytest.approx(np.quantile(means, 0.975), abs=0.15 * (high - low))
    assert low < right / n < high


def test_the_interval_covers_the_true_rate_about_19_times_in_20():
    random, covered = np.random.default_rng(2), 0
    for seed in range(300):
        low, high = bootstrap_interval(random.random(400) < 0.7, seed, resamples=2000)
        covered += low <= 0.7 <= high
    assert 0.91 < covered / 300 < 0.98


def test_the_last_epoch_counts_even_where_an_earlier_one_was_better():
    labels = np.array([0, 1])
    good, bad = np.array([[0, 1], [1, 0]]), np.array([[1, 0], [1, 0]])
    found = score([good, bad], labels, seed=0)
    assert found["top1"] == 0.5
    assert [point["top1"] for point in found["curve"]] == [1.0, 0.5]
    assert score([good], labels, seed=0)["curve"] == []


def test_the_interval_of_a_difference_is_that_of_resampled_pairs():
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
    np.testing.assert_array_equal(unpacked(packed(correct), count), correct)


def test_scores_that_are_nan_are_an_error_and_not_a_ranking():
    with pytest.raises(ValueError, match="not finite"):
        ranked(np.array([[0.1, np.nan]]))
