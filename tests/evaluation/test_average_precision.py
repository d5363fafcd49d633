"""Average precision: closed forms, invariances, and how it differs from scikit-learn's step sum."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from vicreg.evaluation.average_precision import average_precision


def ranked(flags: list[int]) -> float:
    """The AP of images in this order, the first one best."""
    return average_precision(np.arange(len(flags), 0, -1.0), np.array(flags))


def drawn(seed: int, n: int = 60, levels: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N,) with so many values, and flags (N,) of which the first is 1."""
    random = np.random.default_rng(seed)
    flags = np.where(random.random(n) < 0.2, 1, -1)
    flags[0] = 1
    return random.integers(0, levels, n) / levels, flags


def test_a_perfect_ranking_is_1() -> None:
    assert ranked([1, 1, 1, -1, -1]) == 1.0 == ranked([1])


@pytest.mark.parametrize("rank", range(1, 8))
def test_a_single_positive_at_rank_r_is_one_rth(rank: int) -> None:
    assert ranked([1 if i == rank else -1 for i in range(1, 9)]) == 1 / rank


@pytest.mark.parametrize(("positives", "n"), [(1, 5), (3, 10), (7, 9), (4, 4)])
def test_positives_ranked_last_are_their_share(positives: int, n: int) -> None:
    assert ranked([-1] * (n - positives) + [1] * positives) == pytest.approx(positives / n, rel=1e-15)


def test_a_case_by_hand() -> None:
    # Precision at the positives: 1/1, 2/4, 3/5. At the second the best from there on is 3/5.
    assert ranked([1, -1, -1, 1, 1, -1]) == pytest.approx((1 + 3 / 5 + 3 / 5) / 3, rel=1e-15)


def test_rows_with_flag_0_change_nothing() -> None:
    scores, flags = drawn(1)
    without = average_precision(scores, flags)
    more = np.concatenate([scores, [2.0, 0.5, -1.0]]), np.concatenate([flags, [0, 0, 0]])
    assert average_precision(*more) == without


@pytest.mark.parametrize("change", [lambda s: 3 * s - 7, np.exp, lambda s: s**3])
def test_rising_maps_of_scores_change_nothing(change) -> None:
    scores, flags = drawn(2)
    assert average_precision(change(scores), flags) == average_precision(scores, flags)


def test_of_equal_scores_negatives_come_first_whatever_the_order_of_rows() -> None:
    assert average_precision(np.zeros(10), np.array([1, 1, *[-1] * 8])) == pytest.approx(0.2, rel=1e-15)
    assert average_precision(np.array([2.0, 2.0, 1.0]), np.array([1, -1, -1])) == 0.5
    scores, flags = drawn(3, levels=5)
    order = np.random.default_rng(0).permutation(len(flags))
    assert average_precision(scores[order], flags[order]) == average_precision(scores, flags)


def test_it_is_never_below_the_step_sum() -> None:
    for seed in range(40):
        scores, flags = drawn(seed, levels=(10_000, 5)[seed % 2])
        assert average_precision(scores, flags) >= average_precision_score(flags == 1, scores) - 1e-12, seed


def test_it_is_the_step_sum_where_precision_only_falls_and_above_it_elsewhere() -> None:
    falls, rises = [1, 1, -1, 1, -1, -1, 1], [-1, -1, 1, 1, 1]
    step = [average_precision_score(np.array(it) == 1, np.arange(len(it), 0, -1.0)) for it in (falls, rises)]
    assert ranked(falls) == pytest.approx(step[0], rel=1e-12)
    assert ranked(rises) == pytest.approx(3 / 5) and step[1] == pytest.approx((1 / 3 + 2 / 4 + 3 / 5) / 3)


def test_random_scores_have_about_the_prevalence() -> None:
    random = np.random.default_rng(0)
    flags = np.where(random.random(20_000) < 0.07, 1, -1)
    assert average_precision(random.random(20_000), flags) == pytest.approx(0.07, abs=0.01)


def test_without_a_positive_or_with_nan_there_is_none() -> None:
    for scores, flags in ((np.ones(3), np.array([-1, 0, -1])), (np.array([1, np.nan]), np.array([1, -1]))):
        with pytest.raises(ValueError, match="needs an image of the class, and scores that are numbers"):
            average_precision(scores, flags)
