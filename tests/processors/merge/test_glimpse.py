from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from processors.merge import MergePolicy, MergeState, fresh, step
from schemas.columns import EventColumns
from schemas.flow import Input, Moment
from schemas.topics import AGGREGATES
from schemas.window import MINUTE, WindowAggregate

POLICY = MergePolicy(grace_ms=2 * MINUTE)
MOMENT = Moment(now=1, seed=1, epoch=1, partition=0, partitions=1)
START = 28_401_120 * MINUTE  # of windows of all sizes up to a day
Making = Callable[..., EventColumns]
Telling = Callable[..., Input]
BEFORE = ("shop", "find", "large", "zeta", "", "")
STABLE = ("chat", "answer", "large", "acme", "v1", "stable")
CANDIDATE = ("chat", "answer", "small", "acme", "v2", "candidate")


@pytest.fixture
def told(make_partial: Telling, make_events: Making) -> Callable[..., list[WindowAggregate]]:
    """What is written while the watermark passes *seconds*; two events of each key each time."""

    def rows(*seconds: float, keys: tuple[tuple[str, ...], ...]) -> list[WindowAggregate]:
        state: MergeState = fresh()
        written = []
        for offset, second in enumerate(seconds):
            at = START + round(second * 1_000)
            found = make_events([at] * (2 * len(keys)), 1, keys)
            found = replace(found, key=found.key * 0 + [i // 2 for i in range(2 * len(keys))])
            outcome = step(POLICY, state, [make_partial(offset, watermark=at, found=found)], MOMENT)
            state = outcome.state
            written += [e.value for e in outcome.emits if e.topic == AGGREGATES.name]
        return written

    return rows


def test_an_open_minute_is_shown_every_ten_seconds_where_a_candidate_is_tried(
    told: Callable[..., list[WindowAggregate]],
) -> None:
    rows = told(5, 9.9, 10, 12, 19.9, 31, keys=(BEFORE, STABLE, CANDIDATE))

    assert [(10_000, 0, False, "1m")] * 3 + [(31_000, 0, False, "1m")] * 3 == [
        (row.watermark - START, row.revision, row.closed, row.window) for row in rows
    ]
    assert ["stable", "candidate", "*"] * 2 == [row.cohort for row in rows]
    assert {"chat/answer"} == {row.scope for row in rows}


def test_a_glimpse_has_all_of_the_minute_so_far(
    told: Callable[..., list[WindowAggregate]],
) -> None:
    pooled = [row for row in told(55, 65, 71, 82, keys=(STABLE, CANDIDATE)) if row.pooled]
    open_ = [row for row in pooled if row.window == "1m" and not row.closed]

    assert [START, START + MINUTE, START + MINUTE] == [row.start for row in open_]
    assert open_[1].retries <= open_[2].retries
    assert open_[1].requests < open_[2].requests


def test_the_closed_minute_takes_the_place_of_its_glimpses(
    told: Callable[..., list[WindowAggregate]],
) -> None:
    rows = [row for row in told(15, 61, keys=(STABLE, CANDIDATE)) if row.window == "1m"]
    first = [row for row in rows if row.start == START]

    assert [(0, False)] * 3 + [(1, True)] * 3 == [(row.revision, row.closed) for row in first]


@pytest.mark.parametrize("keys", [(BEFORE,), (STABLE,), (STABLE, BEFORE)])
def test_without_a_candidate_nothing_is_shown(
    told: Callable[..., list[WindowAggregate]], keys: tuple[tuple[str, ...], ...]
) -> None:
    assert [] == told(5, 15, 25, 35, keys=keys)


def test_a_candidate_of_the_minute_before_is_none_of_this_one(
    make_events: Making, make_partial: Telling
) -> None:
    late = make_events([START + 500] * 4, 1, (STABLE, CANDIDATE))
    early = step(POLICY, fresh(), [make_partial(0, watermark=START - 1, found=late)], MOMENT)
    now = make_events([START + MINUTE + 1_000] * 4, 1, (STABLE,))
    outcome = step(
        POLICY, early.state, [make_partial(1, watermark=START + MINUTE + 12_000, found=now)], MOMENT
    )
    rows = [each.value for each in outcome.emits if each.topic == AGGREGATES.name]

    assert [] == [row for row in rows if not row.closed and row.window == "1m"]
