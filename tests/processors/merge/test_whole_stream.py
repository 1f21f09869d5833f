"""Any stream of partials, however it is cut: the same windows as a batch recomputation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from processors.merge import (
    ENTRY,
    MergeEntry,
    MergePolicy,
    MergeState,
    absorb,
    fresh,
    restore,
    step,
)
from processors.merge.recompute import batch_windows, content
from processors.summary.combine import combine
from processors.summary.singles import summed
from processors.summary.table import Summary
from schemas.columns import EventColumns
from schemas.flow import Emit, Input, Moment
from schemas.scope import ALL
from schemas.topics import AGGREGATES, FLOORS, PARTIALS
from schemas.window import MINUTE, SIZES, WindowAggregate

MOMENT = Moment(now=1, seed=1, epoch=1, partition=3, partitions=4)
Streaming = Callable[..., tuple[list[Input], list[EventColumns]]]
shapes = st.tuples(
    st.integers(0, 1 << 30), st.integers(1, 4), st.integers(0, 30), st.sampled_from([1, 300_000])
)
unlimited = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Whatever the grace, nothing is lost of a source that keeps to its floor.
HASTY = MergePolicy(grace_ms=0, max_pieces=3, max_singles=300)
Run = tuple[MergeState, list[Emit], dict[str, MergeEntry], dict[str, int], list[Emit]]


def run(
    policy: MergePolicy, inputs: Sequence[Input], state: MergeState | None = None, size: int = 1
) -> Run:
    """Step through *inputs*, *size* at a time; the entries are what the changelog then holds."""
    state = state or fresh()
    emits, entries, counts = list[Emit](), dict[str, MergeEntry](), dict[str, int]()
    asked = list[Emit]()
    for i in range(0, len(inputs), size):
        outcome = step(policy, state, inputs[i : i + size], MOMENT)
        state = outcome.state
        emits += [each for each in outcome.emits if each.topic == AGGREGATES.name]
        asked += [each for each in outcome.emits if each.topic == FLOORS.name]
        for name, entry in outcome.changes.items():
            if entry is None:
                entries.pop(name, None)
            else:
                entries[name] = entry
        for name, count in outcome.counts.items():
            counts[name] = counts.get(name, 0) + count
    return state, emits, entries, counts, asked


def another_minute(inputs: Sequence[Input]) -> Input:
    """One more partial of the last source: windows are let go as minutes close."""
    last = inputs[-1]
    later = replace(last.value, watermark=last.value.watermark + MINUTE)
    return replace(last, offset=last.offset + 1, value=later)


def end_of(inputs: Sequence[Input]) -> int:
    """Up to where windows can be let go once all has been heard: the least floor told."""
    return min({each.value.source: each.value.floor or 0 for each in inputs}.values())


def bits(summary: Summary) -> list[object]:
    values = [getattr(summary, name) for name in Summary.__dataclass_fields__]
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in values]


def spelled(state: MergeState) -> list[object]:
    """All of a state, comparable: how waiting rows are divided into pieces does not matter."""
    return [
        state.mark,
        {at: (bits(w.summary), dict(w.revisions)) for at, w in sorted(state.windows.items())},
        bits(combine(summed(state.pending))),
        state.firsts,
    ]


@given(shape=shapes)
@unlimited
def test_the_last_revisions_are_what_a_batch_recomputation_gives(
    make_stream: Streaming, shape: tuple[int, int, int, int]
) -> None:
    seed, sources, steps, behind = shape
    inputs, found = make_stream(seed, sources=sources, steps=steps, behind=behind)
    state, emits, _, counts, _ = run(HASTY, [*inputs, another_minute(inputs)])
    last = {each.value.record_id: each.value for each in emits}
    expected = batch_windows(found)

    assert 0 == counts.get("late", 0)
    assert all(sum(at) > end_of(inputs) for at in state.windows)
    assert expected.keys() == last.keys()
    for name, window in expected.items():
        assert content(window) == content(last[name])


@given(shape=shapes)
@unlimited
def test_revisions_count_up_from_one_and_nothing_goes_back(
    make_stream: Streaming, shape: tuple[int, int, int, int]
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = make_stream(seed, sources=sources, steps=steps, behind=behind)
    seen: dict[str, WindowAggregate] = {}
    for each in run(HASTY, inputs)[1]:
        now, before = each.value, seen.get(each.value.record_id)
        if now.revision == 0:  # a look into an open minute
            assert ("1m", False, None) == (now.window, now.closed, before)
            continue
        seen[now.record_id] = now

        assert (AGGREGATES.name, now.scope, 3) == (each.topic, each.key, each.partition)
        assert now.closed == (now.end <= now.watermark)
        assert now.end == now.start + SIZES[now.window]
        assert now.requests == now.success + now.errors
        assert now.errors >= now.timeouts
        if before is None:
            assert 1 == now.revision
        else:
            assert before.revision + 1 == now.revision
            assert before.watermark <= now.watermark
            assert before.closed <= now.closed
            assert before.requests <= now.requests


@given(shape=shapes)
@unlimited
def test_each_scope_ends_with_the_row_that_pools_it(
    make_stream: Streaming, shape: tuple[int, int, int, int]
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = make_stream(seed, sources=sources, steps=steps, behind=behind)
    rows: dict[str, WindowAggregate] = {}
    pending = list[WindowAggregate]()
    for each in run(HASTY, inputs)[1]:
        row = each.value
        if not row.pooled:
            pending.append(row)
            rows[row.record_id] = row
            continue
        parts = [
            other
            for other in rows.values()
            if (other.scope, other.window, other.start) == (row.scope, row.window, row.start)
        ]

        assert {(row.scope, row.window, row.start)} == {
            (r.scope, r.window, r.start) for r in pending
        }
        assert [r.record_id for r in pending] == sorted(r.record_id for r in pending)
        assert (ALL,) * 4 == (row.model, row.provider, row.config_version, row.cohort)
        assert row.requests == sum(part.requests for part in parts)
        assert sum(use.requests for use in row.unpriced) == sum(
            use.requests for part in parts for use in part.unpriced
        )
        assert sorted({(u.model, u.provider) for p in parts for u in p.unpriced}) == [
            (use.model, use.provider) for use in row.unpriced
        ]
        pending = []
    assert [] == pending


@given(shape=shapes, size=st.integers(2, 40), limit=st.sampled_from([2, 3, 100_000]))
@unlimited
def test_how_partials_are_batched_changes_nothing(
    make_stream: Streaming, shape: tuple[int, int, int, int], size: int, limit: int
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = make_stream(seed, sources=sources, steps=steps, behind=behind)
    policy = MergePolicy(grace_ms=3 * MINUTE, max_pieces=3, max_live_keys=limit)
    state, emits, entries, counts, asked = run(policy, inputs)
    other = run(policy, inputs, size=size)

    assert emits == other[1]
    assert spelled(state) == spelled(other[0])
    # Rows of the changelog may tell of an older pooled row than the last: that of the key counts.
    assert spelled(restore(entries)) == spelled(restore(other[2]))
    assert counts == other[3]
    assert asked == other[4]


@given(shape=shapes, limit=st.sampled_from([2, 100]), part=st.floats(0, 1))
@example(shape=(24791, 4, 28, 300_000), limit=2, part=0.25)  # late rows of a window that is full
@example(shape=(368869, 3, 12, 1), limit=2, part=0.5)  # a look into a minute that is full
@unlimited
def test_a_restarted_task_goes_on_as_if_nothing_had_happened(
    make_stream: Streaming, shape: tuple[int, int, int, int], limit: int, part: float
) -> None:
    seed, sources, steps, behind = shape
    inputs, _ = make_stream(seed, sources=sources, steps=steps, behind=behind)
    policy = MergePolicy(grace_ms=5 * MINUTE, max_pieces=3, max_live_keys=limit)
    stop = int(part * len(inputs))
    state, _, entries, *_ = run(policy, inputs[:stop], size=2)
    packed = {name: msgspec.msgpack.encode(entry) for name, entry in entries.items()}
    again = restore(
        {name: msgspec.msgpack.decode(each, type=ENTRY) for name, each in packed.items()}
    )
    start = state.tail().get(PARTIALS.name, stop)
    for each in inputs[start:stop]:
        again = absorb(policy, again, [each], MOMENT)
    onwards, resumed = (run(policy, inputs[stop:], each, size=9) for each in (state, again))

    if limit == 100:  # below it, keys that wait may be limited sooner or later
        assert spelled(state) == spelled(again)
    assert onwards[1:] == resumed[1:]


@pytest.mark.parametrize("seed", range(3))
def test_what_a_source_brings_below_its_floor_is_counted_and_the_rest_is_right(
    make_stream: Streaming, choose: Callable[..., list[EventColumns]], seed: int
) -> None:
    policy = MergePolicy(grace_ms=2 * MINUTE)
    inputs, found = make_stream(seed, sources=1, steps=40, behind=8 * MINUTE)
    state, last, lost = fresh(), dict[str, WindowAggregate](), 0
    kept, told, counted = list[EventColumns](), iter(found), 0
    for each in inputs:
        final = state.mark.final or 0
        if each.value.keys:
            columns = next(told)
            kept += choose([columns], lambda at, final=final: at >= final)
            below = columns.timestamp < final
            counted += int(
                (columns.request.astype(int) + (columns.values[:, -1] >= 0))[below].sum()
            )
        broken = replace(each, value=replace(each.value, floor=each.value.watermark))
        state, emits, _, counts, _ = run(policy, [broken], state)
        last |= {emit.value.record_id: emit.value for emit in emits}
        lost += counts["late"]

    assert counted == lost > 0
    assert {name: content(w) for name, w in batch_windows(kept).items()} == {
        name: content(w) for name, w in last.items()
    }


@pytest.mark.parametrize(("seed", "pieces"), [(0, 2), (1, 32)])
def test_which_keys_a_full_window_keeps_is_no_matter_of_batches(
    make_events: Callable[..., EventColumns],
    make_partial: Callable[..., Input],
    seed: int,
    pieces: int,
) -> None:
    rng, now, keys = np.random.default_rng(seed), 20_000 * MINUTE, some_keys(12)
    inputs = []
    for i in range(60):
        now += int(rng.integers(0, MINUTE // 3))
        late = rng.integers(0, 3 * MINUTE, 20) * (rng.random(20) < 0.3)
        found = make_events((now - late).tolist(), int(rng.integers(1 << 30)), keys)
        inputs.append(make_partial(i, watermark=now, found=found, floor=0))
    inputs.append(make_partial(60, watermark=now + 8 * 1_440 * MINUTE, idle=True, floor=0))
    policy = MergePolicy(grace_ms=2 * MINUTE, max_live_keys=3, max_pieces=pieces, max_singles=300)
    one = run(policy, inputs)

    assert all(one[1] == run(policy, inputs, size=size)[1] for size in (3, 7))
    alone = replace(policy, max_pieces=1, max_singles=1)
    assert one[1] == run(alone, inputs, size=5)[1]


def some_keys(count: int) -> tuple[tuple[str, ...], ...]:
    cohorts = ("stable", "candidate", "", "")
    return tuple((f"s{i % 3}", "e", f"m{i}", "p", "", cohorts[i % 4]) for i in range(count))
