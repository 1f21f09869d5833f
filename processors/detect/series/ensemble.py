"""Level, variance, shape and novelty of values, added up to one score."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processors.detect.series import features, novelty, tail
from processors.detect.series.features import MEMBERS, Floats, Singles, Sums
from processors.detect.series.novelty import Places
from processors.detect.series.policy import SeriesPolicy

MOST = 1e18  # the square of a difference is still a float32
Mask = npt.NDArray[np.bool_]


class State(NamedTuple):
    """What is remembered of S series; rows are series × members. Arrays are never changed."""

    sums: Sums
    places: Places
    top: Singles  # [4 S, largest], the largest distances, rising
    told: Floats  # [S], the last score told
    since: Floats  # [S], points since then

    @property
    def bytes_per_series(self) -> float:
        """What one series takes."""
        arrays = (*self.sums, *self.places, self.top, self.told, self.since)
        return sum(array.nbytes for array in arrays) / max(self.told.size, 1)


def fresh(policy: SeriesPolicy, series: int = 1) -> State:
    """Nothing seen yet of *series* series."""
    rows = series * len(MEMBERS)
    return State(
        features.begin(series),
        novelty.begin(rows, policy.places),
        np.zeros((rows, policy.largest), np.float32),
        np.zeros(series),
        np.full(series, np.inf),
    )


def update(policy: SeriesPolicy, state: State, values: Floats) -> tuple[Floats, State]:
    """Score the next value of each series by its own past, and learn it.

    Each member measures how far its view of the value is from all it has seen (`novelty.visit`)
    and how unlikely such a distance is (`tail.judge`); the score is the sum of the four, in
    decimal digits. It is told when it is above the last one told or that is `rest` points ago, so
    that an event is told once, and again only when it gets worse.

    Args:
        policy: The setting.
        state: Of S series.
        values: [S]; NaN and what is beyond MOST is no value: it scores 0 and leaves no trace.

    Returns:
        Scores [S], at least 0, and the state with the values in it.

    Raises:
        ValueError: not one value for each series.

    Examples:
        >>> policy, rng = SeriesPolicy(), np.random.default_rng(0)
        >>> state = fresh(policy)
        >>> for x in (*rng.normal(100, 1, 500), 130.0):
        ...     scores, state = update(policy, state, np.array([x]))
        >>> bool(scores[0] >= policy.threshold)
        True
    """
    if values.shape != state.told.shape:
        raise ValueError(f"{values.shape} values for {state.told.size} series")
    there = np.abs(values) <= MOST
    if not np.logical_and.reduce(there):
        return _some(policy, state, values, there)
    seen, sums = features.look(policy, state.sums, values)
    distance, places = novelty.visit(state.places, seen.reshape(2, -1))
    past = np.minimum(state.sums.seen, policy.horizon)
    rows, digits, top = tail.judge(state.top, past, distance, 0.5 ** (1.0 / policy.horizon))
    score, since = np.zeros(values.size), state.since + 1.0
    if not rows.size:
        return score, State(sums, places, top, state.told, since)
    np.add.at(score, rows // len(MEMBERS), digits)
    score *= state.sums.seen >= policy.minimum
    score *= (score > state.told) | (since > policy.rest)
    told = np.where(score > 0, score, state.told)
    since[score > 0] = 0.0
    return score, State(sums, places, top, told, since)


def _some(policy: SeriesPolicy, state: State, values: Floats, there: Mask) -> tuple[Floats, State]:
    """Update those series that have a value."""
    scores = np.zeros(values.size)
    if not there.any():
        return scores, state
    rows = there.repeat(len(MEMBERS))
    part = State(
        Sums(*(each[..., there] for each in state.sums)),
        Places(state.places.at[:, rows], state.places.gap[rows]),
        state.top[rows],
        state.told[there],
        state.since[there],
    )
    scores[there], after = update(policy, part, values[there])
    at, gap, top = state.places.at.copy(), state.places.gap.copy(), state.top.copy()
    at[:, rows], gap[rows], top[rows] = after.places.at, after.places.gap, after.top
    sums = Sums(*(_put(a, there, b) for a, b in zip(state.sums, after.sums, strict=True)))
    told, since = _put(state.told, there, after.told), _put(state.since, there, after.since)
    return scores, State(sums, Places(at, gap), top, told, since)


def _put(whole: Floats, there: Mask, part: Floats) -> Floats:
    after = whole.copy()
    after[..., there] = part
    return after
