"""The scores of all values of a series that is known as a whole, each by those before it."""

from __future__ import annotations

import numpy as np

from processors.detect.series import season
from processors.detect.series.ensemble import fresh, update
from processors.detect.series.features import Floats
from processors.detect.series.policy import SeriesPolicy


def along(policy: SeriesPolicy, values: Floats) -> Floats:
    """Score each value of several series by those of its own series before it.

    Args:
        policy: The setting.
        values: [d, n]; NaN is no value, scores 0 and leaves no trace.

    Returns:
        [d, n], at least 0; told from `policy.threshold` on.
    """
    scores = np.zeros(values.shape)
    state = fresh(policy, values.shape[0])
    for i, column in enumerate(values.T):
        scores[:, i], state = update(policy, state, column)
    return scores


def unseasoned(values: Floats, length: int) -> Floats:
    """A series [n] less what was usual at the same phase of the cycles before; see `take_out`.

    Raises:
        ValueError: a period of fewer than 2 points.
    """
    plain = np.empty(values.size)
    state = season.begin(1, length)
    for i, value in enumerate(values):
        left, state = season.take_out(state, length, np.array([value]))
        plain[i] = left[0]
    return plain
