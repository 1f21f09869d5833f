from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from processors.merge import MergePolicy, MergeState, fresh, restore, step
from schemas.columns import EventColumns
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.span import Hopping, Session, Span
from schemas.topics import AGGREGATES, FLOORS
from schemas.window import MINUTE, WindowAggregate

POLICY = MergePolicy(grace_ms=2 * MINUTE)
MOMENT = Moment(now=1, seed=1, epoch=1, partition=0, partitions=1)
START = 28_401_120 * MINUTE  # of windows of all sizes up to a day
Making = Callable[..., EventColumns]
Telling = Callable[..., Input]


def told(outcome: Outcome[MergeState], window: str) -> list[WindowAggregate]:
    return [
        each.value
        for each in outcome.emits
        if each.topic == AGGREGATES.name and each.value.window == window
    ]


def asked(outcome: Outcome[MergeState]) -> list[tuple[int | None, int, int]]:
    """Source, task, floor."""
    return [
        (each.partition, each.value.task, each.value.before)
        for each in outcome.emits
        if each.topic == FLOORS.name
    ]


def watermarks(*partials: Input) -> list[int | None]:
    state, seen = fresh(), list[int | None]()
    for each in partials:
        outcome = step(POLICY, state, [each], MOMENT)
        state = outcome.state
        seen.append(outcome.watermark)
    return seen


def test_there_is_no_watermark_until_every_source_was_heard_of(make_partial: Telling) -> None:
    assert [None, None, 100] == watermarks(
        make_partial(0, watermark=100, source=0, sources=3),
        make_partial(1, watermark=300, source=2, sources=3),
        make_partial(2, watermark=200, source=1, sources=3),
    )


def test_a_source_that_is_awake_without_an_event_holds_the_watermark(make_partial: Telling) -> None:
    assert [None, None, 100] == watermarks(
        make_partial(0, watermark=100, source=0, sources=2),
        make_partial(1, watermark=None, source=1, sources=2),
        make_partial(2, watermark=None, source=1, sources=2, idle=True),
    )


def test_an_idle_source_does_not_hold_the_watermark(make_partial: Telling) -> None:
    assert [None, 100, 300] == watermarks(
        make_partial(0, watermark=300, source=0, sources=2),
        make_partial(1, watermark=100, source=1, sources=2),
        make_partial(2, watermark=100, source=1, sources=2, idle=True),
    )


def test_when_all_are_idle_the_furthest_one_counts(make_partial: Telling) -> None:
    assert [None, 100, 100, 300] == watermarks(
        make_partial(0, watermark=100, source=0, sources=2),
        make_partial(1, watermark=300, source=1, sources=2),
        make_partial(2, watermark=300, source=1, sources=2, idle=True),
        make_partial(3, watermark=100, source=0, sources=2, idle=True),
    )


def test_sources_that_never_saw_an_event_give_no_watermark(make_partial: Telling) -> None:
    assert [None] == watermarks(make_partial(0, watermark=None, idle=True))


def test_the_watermark_never_goes_back(make_partial: Telling) -> None:
    assert [None, 300, 300] == watermarks(
        make_partial(0, watermark=300, source=0, sources=2),
        make_partial(1, watermark=400, source=1, sources=2),
        make_partial(2, watermark=100, source=1, sources=2),
    )


def test_a_minute_closes_when_the_watermark_reaches_its_end(
    make_events: Making, make_partial: Telling
) -> None:
    found = make_events([START + 1_000] * 8, 1)
    waiting = step(
        POLICY, fresh(), [make_partial(5, watermark=START + 59_999, found=found)], MOMENT
    )
    closing = step(POLICY, waiting.state, [make_partial(6, watermark=START + 60_000)], MOMENT)

    assert {0} == {row.revision for row in told(waiting, "1m")}
    assert {"llmopt.partials.v1": 5} == waiting.tail
    assert {True} == {row.closed for row in told(closing, "1m")}
    assert {False} == {row.closed for row in told(closing, "5m")}
    assert [] == told(closing, "15m")
    assert {} == closing.tail


def test_a_longer_window_grows_with_each_closed_minute_and_closes_at_its_end(
    make_events: Making, make_partial: Telling
) -> None:
    state, rows = fresh(), list[WindowAggregate]()
    for minute in range(6):
        found = make_events([START + minute * MINUTE], 7)  # always of the same key
        outcome = step(
            POLICY,
            state,
            [make_partial(minute, watermark=START + minute * MINUTE, found=found)],
            MOMENT,
        )
        state = outcome.state
        rows += [row for row in told(outcome, "5m") if row.pooled]

    assert [1, 2, 3, 4, 5] == [row.revision for row in rows]
    assert [False] * 4 + [True] == [row.closed for row in rows]
    assert [1, 2, 3, 4, 5] == [row.metrics["latency_ms"].count for row in rows]
    assert [False] == [row.closed for row in told(outcome, "15m") if row.pooled]


def test_a_late_event_within_the_grace_revises_its_window_when_the_next_minute_closes(
    make_events: Making, make_partial: Telling
) -> None:
    one = make_partial(0, watermark=START + MINUTE, found=make_events([START] * 20, 1))
    state = step(POLICY, fresh(), [one], MOMENT).state
    late = make_partial(1, watermark=START + MINUTE + 1, found=make_events([START + 5], 7))
    waiting = step(POLICY, state, [late], MOMENT)
    outcome = step(POLICY, waiting.state, [make_partial(2, watermark=START + 2 * MINUTE)], MOMENT)

    assert () == waiting.emits
    assert {"llmopt.partials.v1": 1} == waiting.tail
    assert [(False, 2, True), (True, 2, True)] == [
        (row.pooled, row.revision, row.closed) for row in told(outcome, "1m")
    ]
    assert [(False, 2, False), (True, 2, False)] == [
        (row.pooled, row.revision, row.closed) for row in told(outcome, "5m")
    ]


def test_a_late_event_does_not_wait_for_another_minute_once_a_source_is_idle(
    make_events: Making, make_partial: Telling
) -> None:
    policy = replace(POLICY, grace_ms=10 * MINUTE)
    one = make_partial(0, watermark=START + 5 * MINUTE, found=make_events([START] * 20, 1))
    state = step(policy, fresh(), [one], MOMENT).state
    late = make_partial(1, watermark=START + 5 * MINUTE, found=make_events([START + 5], 7))
    waiting = step(policy, state, [late], MOMENT)
    quiet = make_partial(2, watermark=START + 5 * MINUTE + 1, idle=True)
    outcome = step(policy, waiting.state, [quiet], MOMENT)
    again = step(policy, outcome.state, [replace(quiet, offset=3)], MOMENT)

    assert () == waiting.emits
    for window, revision in (("1m", 2), ("5m", 3)):
        assert {(revision, True)} == {(row.revision, row.closed) for row in told(outcome, window)}
        assert [each.requests for each in told(outcome, "1m")] == [
            each.requests for each in told(outcome, window)
        ]
    assert {} == outcome.tail
    assert () == again.emits


def test_only_what_changed_is_written_to_the_changelog_and_it_goes_with_the_window(
    make_events: Making, make_partial: Telling
) -> None:
    one = make_partial(0, watermark=START + MINUTE, found=make_events([START] * 40, 1))
    first = step(POLICY, fresh(), [one], MOMENT)
    late = make_partial(1, watermark=START + 2 * MINUTE, found=make_events([START], 7))
    second = step(POLICY, first.state, [late], MOMENT)
    quiet = make_partial(2, watermark=START + 3 * MINUTE, floor=START + MINUTE)
    third = step(POLICY, second.state, [quiet], MOMENT)

    assert 1 + 2 * 5 == len(first.changes)
    assert 1 + 2 == len(second.changes)
    assert {"mark"} | {name for name in first.changes if name.startswith("60000|")} == {
        *third.changes
    }
    assert 5 == list(third.changes.values()).count(None)
    assert {(5 * MINUTE, START)} == {*third.state.windows}


def test_a_window_stays_beyond_its_grace_until_every_source_keeps_to_a_floor_at_its_end(
    make_events: Making, make_partial: Telling
) -> None:
    found = make_events([START] * 20, 1)
    state = step(
        POLICY,
        fresh(),
        [
            make_partial(0, watermark=START + MINUTE, source=0, sources=2, found=found),
            make_partial(1, watermark=None, source=1, sources=2, idle=True),
        ],
        MOMENT,
    ).state
    over = make_partial(
        2, watermark=START + 3 * MINUTE, source=0, sources=2, floor=START + 9 * MINUTE
    )
    asking = step(POLICY, state, [over], MOMENT)
    old = make_events([START + 5], 7)
    answer = make_partial(
        3, watermark=None, source=1, sources=2, idle=True, floor=START + MINUTE, found=old
    )
    revised = step(POLICY, asking.state, [answer], MOMENT)
    final = step(
        POLICY,
        revised.state,
        [make_partial(4, watermark=START + 4 * MINUTE, source=0, sources=2, floor=START + MINUTE)],
        MOMENT,
    )
    gone = make_partial(5, watermark=START + 4 * MINUTE, source=0, sources=2, found=old)
    lost = step(POLICY, final.state, [gone], MOMENT)

    assert [(1, 0, START + MINUTE)] == asked(asking)
    assert (MINUTE, START) in asking.state.windows
    assert 0 == asking.counts["late"] == revised.counts["late"]
    assert {2} == {row.revision for row in told(revised, "1m")}
    assert {(5 * MINUTE, START)} == {*final.state.windows}
    assert [] == asked(final)
    assert () == lost.emits
    assert 1 <= lost.counts["late"]


def test_a_step_without_partials_leaves_the_state_as_it_was(
    make_events: Making, make_partial: Telling
) -> None:
    state = step(
        POLICY, fresh(), [make_partial(0, watermark=START, found=make_events([START], 1))], MOMENT
    ).state
    outcome = step(POLICY, state, [], MOMENT)

    assert outcome.state is state
    assert (START, {}, {"llmopt.partials.v1": 0}) == (
        outcome.watermark,
        outcome.changes,
        outcome.tail,
    )


def test_an_empty_changelog_is_a_fresh_state() -> None:
    assert fresh().mark == restore({}).mark
    assert {} == restore({}).windows


def spilt(emits: Sequence[Emit], window: str) -> dict[str, int]:
    rows_ = [e.value for e in emits if e.topic == AGGREGATES.name and e.value.window == window]
    last = {row.record_id: row for row in rows_}
    rows = [row for row in last.values() if not row.pooled]
    return {row.endpoint: row.requests for row in rows}


@pytest.mark.parametrize("pieces", [1, 100])
def test_keys_beyond_the_limit_share_one_row_and_are_counted(
    make_events: Making, make_partial: Telling, pieces: int
) -> None:
    policy = replace(POLICY, max_live_keys=3, max_pieces=pieces)
    keys = [("shop", f"endpoint-{i:02}", "m", "p", "", "") for i in range(20)]
    inputs, requests = [], 0
    for minute in range(6):
        for i in range(20):
            found = make_events([START + minute * MINUTE] * 3, minute * 20 + i, (keys[i],))
            found = replace(
                found,
                request=np.ones(3, dtype=np.bool_),
                values=np.where(np.arange(8) == 7, -1, found.values),
            )
            watermark = START + (minute - 1) * MINUTE
            inputs.append(make_partial(len(inputs), watermark=watermark, found=found))
            requests += 3
    inputs.append(make_partial(len(inputs), watermark=START + 6 * MINUTE))
    outcome = step(policy, fresh(), inputs, MOMENT)
    rows = spilt(outcome.emits, "5m")
    chosen = {row.endpoint for row in told(outcome, "1m")}

    assert requests == sum(spilt(outcome.emits, "15m").values()) + 20 * 3
    assert {4} == {len(rows), len(chosen)}
    assert 6 * 17 * 3 == outcome.counts["overflowed"]
    assert {"merged-0"} == {name for name in chosen if not name.startswith("endpoint-")}


def test_keys_that_were_written_before_stay_when_others_come_late(
    make_events: Making, make_partial: Telling
) -> None:
    policy = replace(POLICY, max_live_keys=2)
    keys = [("shop", f"endpoint-{i:02}", "m", "p", "", "") for i in range(12)]
    first = make_partial(0, watermark=START + MINUTE, found=make_events([START] * 9, 1, (keys[0],)))
    late = [
        make_partial(i, watermark=START + MINUTE, found=make_events([START] * 9, i, (keys[i],)))
        for i in range(1, 12)
    ]
    end = make_partial(12, watermark=START + 2 * MINUTE)
    outcome = step(policy, fresh(), [first, *late, end], MOMENT)
    rows = spilt(outcome.emits, "1m")

    assert 3 == len(rows)
    assert {"endpoint-00", "merged-0"} < {*rows}


@pytest.mark.parametrize(
    "setting", [{"grace_ms": -1}, {"max_live_keys": 0}, {"max_pieces": 0}, {"max_singles": 0}]
)
def test_a_setting_out_of_range_is_refused(setting: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="set it to"):
        MergePolicy(**setting)


@pytest.mark.parametrize(
    ("windows", "sentence"),
    [
        ((Hopping("w", 90_000, 30_000),), "windows, w, size: 90 s is no number of whole minutes"),
        ((Session("w", MINUTE, MINUTE),) * 2, "windows has some of them twice: keep each once"),
    ],
)
def test_windows_that_cannot_be_are_refused(windows: tuple[Span, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MergePolicy(windows=windows)
