"""Declared windows: any stream, restarts and changes of the catalog, against a recomputation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.merge import (
    ENTRY,
    MergePolicy,
    MergeState,
    absorb,
    fresh,
    restore,
    step,
)
from processors.merge.recompute import batch_windows, content
from processors.merge.window import Window
from processors.summary.combine import combine
from processors.summary.singles import summed
from processors.summary.table import Summary
from schemas.codec import pack, unpack
from schemas.columns import EventColumns
from schemas.flow import Emit, Input, Moment
from schemas.span import Hopping, Session, Span, called
from schemas.topics import AGGREGATES, PARTIALS
from schemas.window import MINUTE, SIZES, WindowAggregate

MOMENT = Moment(now=1, seed=1, epoch=1, partition=3, partitions=4)
HASTY = MergePolicy(grace_ms=0, max_pieces=3, max_singles=300)
Streaming = Callable[..., tuple[list[Input], list[EventColumns]]]
Making = Callable[..., EventColumns]
Telling = Callable[..., Input]
hoppings = st.builds(
    lambda hop, times: Hopping("hop", hop * times * MINUTE, hop * MINUTE),
    st.sampled_from([1, 2, 5, 7, 15, 60]),
    st.integers(1, 9),
)
gaps = st.sampled_from([1, 2, 3, 10])
sessions = st.builds(
    lambda gap, longest: Session("run", gap * MINUTE, longest * MINUTE),
    gaps,
    st.sampled_from([10, 17, 60, 1_440]),
)
spans = st.one_of(hoppings, sessions)
shapes = st.tuples(
    st.integers(0, 1 << 30),
    st.integers(1, 3),
    st.integers(0, 30),
    st.sampled_from([1, 300_000, 1_200_000]),
)
unlimited = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@dataclass
class Task:
    """A task of merge with its changelog, which can die."""

    state: MergeState = field(default_factory=fresh)
    entries: dict[str, bytes] = field(default_factory=dict)
    emits: list[Emit] = field(default_factory=list)
    tail: dict[str, int] = field(default_factory=dict)

    def take(self, policy: MergePolicy, inputs: Sequence[Input]) -> None:
        outcome = step(policy, self.state, inputs, MOMENT)
        self.state, self.tail = outcome.state, dict(outcome.tail or {})
        self.emits += outcome.emits
        for name, entry in outcome.changes.items():
            if entry is None:
                del self.entries[name]
            else:
                self.entries[name] = pack(entry)

    def die(self, policy: MergePolicy, read: Sequence[Input]) -> None:
        kept = {name: unpack(ENTRY, entry) for name, entry in self.entries.items()}
        self.state = restore(kept)
        for each in read[self.tail.get(PARTIALS.name, len(read)) :]:
            self.state = absorb(policy, self.state, [each], MOMENT)

    @property
    def rows(self) -> list[WindowAggregate]:
        return [each.value for each in self.emits if each.topic == AGGREGATES.name]


def run(inputs: Sequence[Input], *declared: Span, size: int = 1) -> Task:
    task = Task()
    for i in range(0, len(inputs), size):
        task.take(replace(HASTY, windows=declared), inputs[i : i + size])
    return task


def made(inputs: tuple[list[Input], list[EventColumns]]) -> tuple[list[Input], list[EventColumns]]:
    """The stream with one more minute in which all that can be let go is."""
    partials, found = inputs
    last = partials[-1]
    later = replace(last.value, watermark=last.value.watermark + MINUTE)
    return [*partials, replace(last, offset=last.offset + 1, value=later)], found


def newest(rows: Sequence[WindowAggregate]) -> dict[str, WindowAggregate]:
    last = {row.record_id: row for row in rows}
    return {name: content(row) for name, row in last.items() if not row.void}


def spelled(state: MergeState) -> list[object]:
    def bits(summary: Summary) -> list[object]:
        values = [getattr(summary, name) for name in Summary.__dataclass_fields__]
        return [v.tolist() if isinstance(v, np.ndarray) else v for v in values]

    def said(window: Window) -> list[object]:
        return [bits(window.summary), dict(window.revisions)]

    return [
        state.mark,
        *(
            {at: said(window) for at, window in sorted(each.items())}
            for each in (state.windows, state.declared.panes, state.declared.hopping)
        ),
        {
            name: (bits(each.summary), dict(each.revisions), dict(each.extents))
            for name, each in sorted(state.declared.sessions.items())
        },
        bits(combine(summed(state.pending))),
        state.firsts,
    ]


@given(shape=shapes, span=spans)
@unlimited
def test_the_last_revisions_are_what_a_batch_recomputation_gives(
    make_stream: Streaming, shape: tuple[int, int, int, int], span: Span
) -> None:
    seed, sources, steps, behind = shape
    inputs, found = made(make_stream(seed, sources=sources, steps=steps, behind=behind))
    task = run(inputs, span)
    expected = batch_windows(found, {span: 0})

    assert {name: content(each) for name, each in expected.items()} == newest(task.rows)
    final = task.state.mark.final or 0
    assert all(start + span.size > final for _, start in task.state.declared.hopping)


@given(shape=shapes, both=st.tuples(hoppings, sessions))
@unlimited
def test_windows_of_fixed_lengths_are_as_they_are_without_any_declared(
    make_stream: Streaming, shape: tuple[int, int, int, int], both: tuple[Span, Span]
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = made(make_stream(seed, sources=sources, steps=steps, behind=behind))
    plain, task = run(inputs), run(inputs, *both)

    assert plain.rows == [row for row in task.rows if row.window in SIZES]
    assert plain.state.windows.keys() == task.state.windows.keys()


@given(shape=shapes, span=spans)
@unlimited
def test_revisions_count_up_from_one_and_only_a_session_that_goes_on_is_open_again(
    make_stream: Streaming, shape: tuple[int, int, int, int], span: Span
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = make_stream(seed, sources=sources, steps=steps, behind=behind)
    seen: dict[str, WindowAggregate] = {}
    for now in run(inputs, span).rows:
        before = seen.get(now.record_id)
        seen[now.record_id] = now
        if now.window in SIZES:
            continue

        assert span == called(now.window)
        assert span.fits(now.start, now.end)
        assert now.closed == (now.end <= now.watermark)
        assert (0 if before is None else before.revision) + 1 == now.revision
        if before is not None:
            assert not before.void
            assert before.watermark <= now.watermark
            assert before.end <= now.end
            assert before.requests <= now.requests or now.void
        if before is not None and before.closed and not now.closed:
            assert isinstance(span, Session)
            assert before.end < now.end


@given(shape=shapes, both=st.tuples(hoppings, sessions))
@unlimited
def test_each_scope_ends_with_the_row_that_pools_it(
    make_stream: Streaming, shape: tuple[int, int, int, int], both: tuple[Span, Span]
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = make_stream(seed, sources=sources, steps=steps, behind=behind)
    rows: dict[str, WindowAggregate] = {}
    pending = list[WindowAggregate]()
    for row in run(inputs, *both).rows:
        if not row.pooled:
            pending.append(row)
            rows[row.record_id] = row
            continue
        parts = [
            other
            for other in rows.values()
            if (other.scope, other.window, other.start) == (row.scope, row.window, row.start)
        ]

        assert {(row.scope, row.window, row.start, row.end)} == {
            (r.scope, r.window, r.start, r.end) for r in pending
        }
        assert [r.record_id for r in pending] == sorted(r.record_id for r in pending)
        assert row.requests == sum(part.requests for part in parts)
        pending = []
    assert [] == pending


@given(shape=shapes, both=st.tuples(hoppings, sessions), size=st.integers(2, 40))
@unlimited
def test_how_partials_are_batched_changes_nothing(
    make_stream: Streaming, shape: tuple[int, int, int, int], both: tuple[Span, Span], size: int
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = make_stream(seed, sources=sources, steps=steps, behind=behind)
    one, other = run(inputs, *both), run(inputs, *both, size=size)

    assert one.emits == other.emits
    assert spelled(one.state) == spelled(other.state)
    one.die(HASTY, inputs)
    other.die(HASTY, inputs)
    assert spelled(one.state) == spelled(other.state)


@given(
    shape=shapes,
    both=st.tuples(hoppings, sessions),
    grace=st.sampled_from([0, 5]),
    size=st.integers(1, 5),
)
@unlimited
def test_a_task_that_dies_after_every_batch_goes_on_as_if_nothing_had_happened(
    make_stream: Streaming,
    shape: tuple[int, int, int, int],
    both: tuple[Span, Span],
    grace: int,
    size: int,
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = make_stream(seed, sources=sources, steps=steps, behind=behind)
    policy = replace(HASTY, grace_ms=grace * MINUTE, windows=both)
    lasting, dying = Task(), Task()
    for i in range(0, len(inputs), size):
        for task in (lasting, dying):
            task.take(policy, inputs[i : i + size])
        dying.die(policy, inputs[: i + size])

        assert spelled(lasting.state) == spelled(dying.state)
    assert lasting.emits == dying.emits
    assert lasting.entries == dying.entries


@given(
    shape=shapes,
    span=spans,
    other=spans.map(lambda each: replace(each, id="other")),
    changes=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
@unlimited
def test_a_catalog_that_changes_midway_begins_windows_where_minutes_are_open(
    make_stream: Streaming,
    shape: tuple[int, int, int, int],
    span: Span,
    other: Span,
    changes: list[float],
) -> None:
    seed, sources, steps, behind = shape
    inputs, found = made(make_stream(seed, sources=sources, steps=steps, behind=behind))
    begun, ended = (int(part * (len(inputs) - 1)) for part in changes)
    policies = [replace(HASTY, windows=each) for each in ((other,), (other, span), (span,))]
    task, dying = Task(), Task()
    since = ended_at = 0
    for i, each in enumerate(inputs):
        before = (task.state.mark.watermark or 0) // MINUTE * MINUTE
        since = before if i == begun else since
        ended_at = before if i == ended else ended_at
        for one in (task, dying):
            one.take(policies[(i >= begun) + (i >= ended)], [each])
        dying.die(HASTY, inputs[: i + 1])
    expected = batch_windows(found, {span: since, other: 0})
    rows = newest(task.rows)

    assert {n: content(w) for n, w in expected.items() if w.window != other.name} == {
        name: row for name, row in rows.items() if row.window != other.name
    }
    # What is not declared any more is closed as it was when it was forgotten.
    for name, row in rows.items():
        if row.window == other.name:
            assert row.start < max(ended_at, 1)
            assert name in expected or isinstance(other, Session)
            assert row.closed
    assert {span.name: since} == task.state.mark.declared
    assert task.emits == dying.emits
    assert {name.split("|")[0] for name in task.entries} <= {
        "mark",
        span.name,
        *map(str, SIZES.values()),
    }


def test_sessions_that_are_open_when_their_declaration_goes_are_closed_and_counted(
    make_events: Making, make_partial: Telling
) -> None:
    start, visits = 28_401_120 * MINUTE, Session("visits", 5 * MINUTE, 240 * MINUTE)
    scopes = [("shop", name, "m", "p", "", "") for name in ("over", "open")]
    told = [(start, scopes[:1]), (start + 20 * MINUTE, scopes[1:]), (start + 22 * MINUTE, scopes)]
    with_, without = (replace(HASTY, grace_ms=60 * MINUTE, windows=w) for w in ((visits,), ()))
    task = Task()
    for i, (at, keys) in enumerate(told):
        found = make_events([at] * 40, i, tuple(keys[-1:]))
        task.take(with_, [make_partial(i, watermark=at + MINUTE, found=found)])
    before = {row.record_id: row for row in task.rows if row.window == visits.name}
    first = len(task.emits)
    removed = step(without, task.state, [make_partial(3, watermark=told[-1][0] + MINUTE)], MOMENT)
    task.take(without, [make_partial(3, watermark=told[-1][0] + MINUTE)])
    now = [row for row in task.rows[first:] if row.window == visits.name]

    assert [("shop/over", True), ("shop/open", False)] == [
        (row.scope, row.closed) for row in before.values() if row.pooled
    ]
    assert [
        replace(row, closed=True, revision=row.revision + 1)
        for row in before.values()
        if row.scope == "shop/open"
    ] == now
    assert [False, True] == [row.pooled for row in now]
    assert (1, 1) == (removed.counts["undeclared"], removed.counts["windows"])
    assert not [name for name in task.entries if name.startswith("visits")]
    again = step(without, task.state, [make_partial(4, watermark=told[-1][0] + MINUTE)], MOMENT)

    assert (0, ()) == (again.counts["undeclared"], again.emits)


@given(shape=shapes, both=st.tuples(hoppings, sessions), limit=st.sampled_from([1, 2, 3]))
@unlimited
def test_keys_beyond_the_limit_share_one_row_and_nothing_is_lost(
    make_stream: Streaming,
    shape: tuple[int, int, int, int],
    both: tuple[Hopping, Session],
    limit: int,
) -> None:
    seed, sources, steps, behind = shape
    inputs, found = made(make_stream(seed, sources=sources, steps=steps, behind=behind))
    task, (hopping, session) = Task(), both
    for each in inputs:
        task.take(replace(HASTY, windows=both, max_live_keys=limit), [each])
    rows = [row for row in newest(task.rows).values() if not row.pooled]
    expected = batch_windows(found, {hopping: 0, session: 0}).values()
    starts = {row.start for row in rows if row.window == hopping.name}

    for name in (hopping.name, session.name):
        assert sum(r.requests for r in expected if r.window == name and not r.pooled) == sum(
            row.requests for row in rows if row.window == name
        )
    for start in starts:
        assert limit + 1 >= len([r for r in rows if (r.window, r.start) == (hopping.name, start)])
