"""The score of the Numenta benchmark."""

from __future__ import annotations

import numpy as np
import pytest

from bench.nab import Labelled, Profile, best, score_at, worth

STANDARD = Profile(1.0, 1.0, 0.11)
SERIES = Labelled("x", np.zeros(1_000), ((500, 599),))


def alarms(*at: int) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    score = np.zeros(1_000)
    score[list(at)] = 1.0
    return [score]


def test_who_never_speaks_has_nothing_and_who_speaks_at_once_has_all() -> None:
    assert 0.0 == score_at([SERIES], alarms(), STANDARD, 1.0)
    assert pytest.approx(100.0) == score_at([SERIES], alarms(500), STANDARD, 1.0)


def test_a_late_find_is_worth_less_and_a_repeated_one_is_worth_its_first() -> None:
    late = score_at([SERIES], alarms(595), STANDARD, 1.0)

    assert 50.0 < late < 70.0
    assert pytest.approx(100.0) == score_at([SERIES], alarms(500, 595), STANDARD, 1.0)


def test_a_false_alarm_costs_its_weight_and_less_just_after_a_window() -> None:
    assert pytest.approx(100.0 - 5.5) == score_at([SERIES], alarms(300, 500), STANDARD, 1.0)
    assert 99.0 < score_at([SERIES], alarms(500, 601), STANDARD, 1.0) < 100.0


def test_the_first_points_are_not_judged() -> None:
    assert pytest.approx(100.0) == score_at([SERIES], alarms(*range(150), 500), STANDARD, 1.0)


def test_the_best_threshold_is_the_best_of_all_that_one_can_try() -> None:
    scores = [np.round(np.random.default_rng(0).gamma(1.0, size=1_000), 2)]
    tried = [score_at([SERIES], scores, STANDARD, each) for each in np.unique(scores[0])]
    score, threshold = best([SERIES], scores, STANDARD)

    assert pytest.approx(max(tried)) == score
    assert pytest.approx(score) == score_at([SERIES], scores, STANDARD, threshold)


def test_the_worth_of_a_point_falls_through_the_window_and_beyond_it() -> None:
    window, value = worth(SERIES)

    assert 100 == int((window == 0).sum())
    assert pytest.approx(1.0) == value[500]
    assert np.all(np.diff(value[500:900]) <= 1e-12)
    assert np.all(value[:500] == -1.0)
