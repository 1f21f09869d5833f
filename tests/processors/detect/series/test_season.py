"""Seasons, taken out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from processors.detect.series import SeriesPolicy, fresh, update
from processors.detect.series.features import Floats
from processors.detect.series.season import begin, take_out


def wave(points: int, length: int, noise: float, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    return np.sin(np.arange(points) / length * 2 * np.pi) + rng.normal(0, noise, points)


def test_what_recurs_is_taken_out_and_what_is_new_is_left() -> None:
    values = np.tile(np.repeat([0.0, 10.0], 12), 20)
    values[-1] += 5.0
    season, left = begin(1, 24), []
    for value in values:
        rest, season = take_out(season, 24, np.array([value]))
        left.append(float(rest[0]))

    assert [0.0] * 23 + [5.0] == left[-24:]


def test_an_absent_value_teaches_nothing() -> None:
    season = begin(2, 2)
    for values in ([1.0, 1.0], [2.0, 2.0], [1.0, math.nan], [2.0, 2.0]):
        _, season = take_out(season, 2, np.array(values))

    assert [[1.0, 2.0]] * 2 == season.profile.tolist()
    assert [[2.0, 2.0], [1.0, 2.0]] == season.seen.tolist()


def test_a_missing_peak_of_a_season_is_told_once_the_season_is_known() -> None:
    policy, state, season = SeriesPolicy(), fresh(SeriesPolicy()), begin(1, 24)
    values = np.tile(np.r_[np.zeros(20), np.full(4, 10.0)], 30) + wave(720, 24, 0.2) * 0.3
    values[-4:] -= 10.0
    scores = []
    for value in values:
        rest, season = take_out(season, 24, np.array([value]))
        score, state = update(policy, state, rest)
        scores.append(float(score[0]))

    assert max(scores[-4:]) >= 4.0
    assert max(scores[-4:]) > max(scores[200:-4])


def test_a_period_of_one_point_is_refused() -> None:
    with pytest.raises(ValueError, match="2 points or more"):
        begin(1, 1)
