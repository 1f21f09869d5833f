"""Series that are known as a whole."""

from __future__ import annotations

import numpy as np

from processors.detect.series import SeriesPolicy, fresh, update
from processors.detect.series.along import along, unseasoned


def test_values_are_scored_one_after_the_other() -> None:
    policy, values = SeriesPolicy(minimum=20), np.random.default_rng(0).normal(size=(2, 60))
    values[1, 50] = 40.0
    state, expected = fresh(policy, 2), []
    for column in values.T:
        scores, state = update(policy, state, column)
        expected.append(scores)

    assert np.array_equal(np.array(expected).T, along(policy, values))
    assert along(policy, values)[1, 50] > policy.threshold


def test_what_recurs_is_taken_out() -> None:
    days = np.tile(np.arange(10.0), 30)

    assert np.allclose(unseasoned(days, 10)[10:], 0.0)
