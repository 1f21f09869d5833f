"""Declared windows, one by one: when they begin, end, join and are forgotten."""

from __future__ import annotations

from collections.abc import Callable

from processors.merge import MergePolicy, MergeState, fresh, step
from schemas.columns import EventColumns
from schemas.flow import Input, Moment
from schemas.partial import Key
from schemas.span import Hopping, Session, Span
from schemas.topics import AGGREGATES, FLOORS
from schemas.window import MINUTE, WindowAggregate

MOMENT = Moment(now=1, seed=1, epoch=1, partition=0, partitions=1)
START = 28_401_120 * MINUTE  # of windows of all sizes up to a day
KEY: Key = ("shop", "find", "large", "acme", "", "")
Making = Callable[..., EventColumns]
Telling = Callable[..., Input]


class Task:
    """Steps through partials; what is in the changelog, whom it asked, and what it wrote."""

    def __init__(self, *windows: Span, grace: int = 0) -> None:
        self.policy = MergePolicy(grace_ms=grace * MINUTE, windows=windows)
        self.state: MergeState = fresh()
        self.kept: set[str] = set()
        self.asked: list[int] = []
        self.rows: list[WindowAggregate] = []

    def take(self, *inputs: Input) -> None:
        for each in inputs:
            outcome = step(self.policy, self.state, [each], MOMENT)
            self.state = outcome.state
            self.rows += [e.value for e in outcome.emits if e.topic == AGGREGATES.name]
            self.asked += [e.value.before for e in outcome.emits if e.topic == FLOORS.name]
            self.kept |= {name for name, entry in outcome.changes.items() if entry is not None}
            self.kept -= {name for name, entry in outcome.changes.items() if entry is None}

    def told(self, window: Span) -> list[WindowAggregate]:
        return [row for row in self.rows if row.window == window.name and row.pooled]


def minute(ms: int) -> int:
    return (ms - START) // MINUTE


def test_panes_are_kept_for_windows_to_come_and_nobody_is_asked_to_let_them_go(
    make_events: Making, make_partial: Telling
) -> None:
    span = Hopping("w", 120 * MINUTE, 60 * MINUTE)
    task, hour = Task(span), START + 60 * MINUTE
    task.take(make_partial(0, watermark=START, found=make_events([START] * 9, 1)))
    for i in range(1, 119):
        task.take(make_partial(i, watermark=START + i * MINUTE, floor=hour))
        if i > 61:
            assert {(60 * MINUTE, START)} == {*task.state.declared.panes}
    asked = [*task.asked]
    task.take(
        make_partial(119, watermark=START + 121 * MINUTE),
        make_partial(120, watermark=START + 122 * MINUTE, floor=2 * hour),
    )

    assert [] == asked
    assert {} == task.state.declared.panes
    assert {} == task.state.declared.hopping
    assert {-60, 0} == {minute(row.start) for row in task.told(span)}
    assert {"mark", str(1_440 * MINUTE)} == {name.split("|")[0] for name in task.kept}


def test_a_hopping_window_is_written_when_it_ends_and_when_late_events_revise_it(
    make_events: Making, make_partial: Telling
) -> None:
    span = Hopping("w", 4 * MINUTE, 2 * MINUTE)
    task = Task(span, grace=30)
    for i, (reached, active) in enumerate([(1, [0]), (3, [1]), (3, [0]), (4, []), (9, [])]):
        found = make_events([START + at * MINUTE for at in active], 7, (KEY,))
        task.take(make_partial(i, watermark=START + reached * MINUTE, found=found))

    assert [
        (-2, 2, 1, 2),  # as of its end, though the watermark has leapt beyond
        (-2, 4, 2, 3),
        (0, 4, 1, 3),
    ] == [
        (
            minute(row.start),
            minute(row.watermark),
            row.revision,
            row.metrics["latency_ms"].count,
        )
        for row in task.told(span)
    ]


def test_a_late_minute_joins_two_sessions_and_says_of_the_later_one_that_it_is_void(
    make_events: Making, make_partial: Telling
) -> None:
    span = Session("visits", 3 * MINUTE, 1_440 * MINUTE)
    task = Task(span, grace=30)
    for i, (reached, active) in enumerate([(1, [0]), (5, [4]), (8, []), (9, [2]), (10, [])]):
        found = make_events([START + at * MINUTE for at in active], 1, (KEY,))
        task.take(make_partial(i, watermark=START + reached * MINUTE, found=found))
    rows = task.told(span)

    assert [
        (0, 4, 1, False, False),  # open from its first minute on
        (0, 4, 2, True, False),  # silent for three minutes: over
        (4, 8, 1, False, False),
        (4, 8, 2, True, False),
        (4, 8, 3, True, True),  # part of the earlier one now
        (0, 8, 3, True, False),
    ] == [(minute(row.start), minute(row.end), row.revision, row.closed, row.void) for row in rows]
    assert 3 == rows[-1].metrics["latency_ms"].count
    assert {f"{span.name}|{START}|{KEY!r}"} == {n for n in task.kept if n.startswith("visits")}


def test_a_late_minute_opens_a_session_again_that_may_go_on(
    make_events: Making, make_partial: Telling
) -> None:
    span = Session("visits", 5 * MINUTE, 1_440 * MINUTE)
    task = Task(span, grace=30)
    for i, (reached, active) in enumerate([(1, [0]), (6, []), (7, [4]), (8, []), (10, [])]):
        found = make_events([START + at * MINUTE for at in active], 1, (KEY,))
        task.take(make_partial(i, watermark=START + reached * MINUTE, found=found))

    assert [(6, False), (6, True), (10, False), (10, True)] == [
        (minute(row.end), row.closed) for row in task.told(span)
    ]


def test_a_session_that_is_open_again_is_so_for_all_its_keys(
    make_events: Making, make_partial: Telling
) -> None:
    span, other = Session("visits", 5 * MINUTE, 1_440 * MINUTE), (*KEY[:2], "small", *KEY[3:])
    task = Task(span, grace=30)
    for i, (reached, key) in enumerate([(1, KEY), (1, other), (6, None), (7, KEY), (8, None)]):
        at = [START + (0 if i < 2 else 4) * MINUTE] if key else []
        found = make_events(at, 1, (key or KEY,))
        task.take(make_partial(i, watermark=START + reached * MINUTE, found=found))
    newest = {row.model: row for row in task.rows if row.window == span.name}

    assert {"large", "small", "*"} == newest.keys()
    assert {(10, False)} == {(minute(row.end), row.closed) for row in newest.values()}


def test_a_busy_scope_has_sessions_of_the_greatest_length_cut_where_windows_are(
    make_events: Making, make_partial: Telling
) -> None:
    span = Session("visits", 2 * MINUTE, 10 * MINUTE)
    task = Task(span)
    for i in range(26):
        found = make_events([START + (i + 3) * MINUTE], 1, (KEY,))
        task.take(make_partial(i, watermark=START + (i + 3) * MINUTE, found=found))

    assert [(3, 10), (10, 20)] == [
        (minute(row.start), minute(row.end)) for row in task.told(span) if row.closed
    ]
