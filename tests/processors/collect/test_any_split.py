"""What collect does with a log, however it is cut into batches and restarted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors.collect import (
    CollectEntry,
    CollectPolicy,
    CollectState,
    Read,
    absorb,
    fresh,
    restore,
    step,
)
from processors.summary.combine import combine
from processors.summary.pack import unpack
from processors.summary.summarize import summarize
from processors.summary.table import Summary
from schemas.flow import Emit, Moment
from schemas.topics import LATE, PARTIALS

POLICY = CollectPolicy(grace_ms=5_000, horizon=7, delay_ms=500, singles_from=3, singles_below=2)
MOMENT = Moment(now=1, seed=1, epoch=1, partition=0, partitions=3)
Row = tuple[int, int, int]
Reading = Callable[..., Read]

logs = st.lists(  # per message: its events as (timestamp, identity of the message)
    st.tuples(st.lists(st.integers(60_000, 80_000), max_size=3), st.integers(0, 6)),
    min_size=1,
    max_size=40,
)
cuts = st.lists(st.integers(0, 40), max_size=6)


def rows(log: Sequence[tuple[list[int], int]]) -> list[Row]:
    return [(i, at, identity) for i, (times, identity) in enumerate(log) for at in times]


def batches(
    reading: Reading, log: Sequence[tuple[list[int], int]], at: Sequence[int]
) -> list[Read]:
    """The log in pieces; each event keeps its values whichever piece it falls in."""
    whole = reading(rows(log), messages=len(log))
    bounds = sorted({0, len(log), *(cut for cut in at if cut < len(log))})
    return [part(whole, a, b) for a, b in pairwise(bounds)]


def part(whole: Read, a: int, b: int) -> Read:
    events = whole.decoded.events
    here = (events.message >= a) & (events.message < b)
    arrays = {
        name: value[here]
        for name in events.__slots__
        if isinstance(value := getattr(events, name), np.ndarray)
    }
    kept = replace(events, **arrays | {"message": events.message[here] - a})
    return Read(
        whole.topic,
        whole.offsets[a:b],
        replace(whole.decoded, events=kept),
        whole.values[a:b],
        whole.keys[a:b],
        whole.headers[a:b],
    )


def model(log: Sequence[tuple[list[int], int]]) -> list[str]:
    """What becomes of each event, by the definition."""
    fates, heard, newest = list[str](), dict[int, list[int]](), -1
    for offset, (times, identity) in enumerate(log):
        generation = offset // POLICY.horizon
        told = heard.setdefault(generation, [])
        known = identity and identity in told + heard.get(generation - 1, [])
        for at in times:
            if known:
                fates.append("duplicates")
                continue
            newest = max(newest, at)
            fates.append("late" if at < newest - POLICY.grace_ms else "aggregated")
        if times:
            told.append(identity)
    return fates


def run(
    state: CollectState, reads: Sequence[Read]
) -> tuple[CollectState, list[Emit], dict[str, int]]:
    emits, counts = list[Emit](), dict[str, int]()
    for read in reads:
        outcome = step(POLICY, state, [read], MOMENT)
        state = outcome.state
        emits += outcome.emits
        for name, count in outcome.counts.items():
            counts[name] = counts.get(name, 0) + count
    return state, emits, counts


def total(emits: Sequence[Emit]) -> Summary:
    return combine([unpack(each.value) for each in emits if each.topic == PARTIALS.name])


def same(a: Summary, b: Summary) -> bool:
    names = Summary.__dataclass_fields__
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in names)


def remembered(state: CollectState) -> object:
    return state.mark, {
        topic: (seen.generation, seen.current.tolist(), seen.previous.tolist())
        for topic, seen in state.seen.items()
    }


@given(log=logs, at=cuts)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_fate_of_each_event_is_a_function_of_the_log(
    reading: Reading, log: list[tuple[list[int], int]], at: list[int]
) -> None:
    fates = model(log)
    whole = reading(rows(log), messages=len(log))
    _, emits, counts = run(fresh(), batches(reading, log, at))

    for name in ("duplicates", "late", "aggregated"):
        assert fates.count(name) == counts[name]
    assert len(fates) == counts["read"]
    fit = np.array([fate == "aggregated" for fate in fates], dtype=np.bool_)
    assert same(combine([summarize(whole.decoded.events, fit)]), total(emits))
    late = {row[0] for row, fate in zip(rows(log), fates, strict=True) if fate == "late"}

    assert [f"value {i}".encode() for i in sorted(late)] == [
        each.value for each in emits if each.topic == LATE.name
    ]


@given(log=logs, at=cuts, again=cuts)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_restarted_task_goes_on_as_if_nothing_had_happened(
    reading: Reading, log: list[tuple[list[int], int]], at: list[int], again: list[int]
) -> None:
    reads = batches(reading, log, at)
    whole = reading(rows(log), messages=len(log))
    for stop in range(len(reads) + 1):
        before, _, _ = run(fresh(), reads[:stop])
        end = sum(len(read.offsets) for read in reads[:stop])
        state = restore({"mark": CollectEntry(mark=before.mark)} if stop else {})
        if stop:
            start = before.tail(POLICY)["llmopt.metrics.v1"]
            bounds = sorted({start, end, *(cut for cut in again if start < cut < end)})
            for a, b in pairwise(bounds):
                state = absorb(POLICY, state, [part(whole, a, b)], MOMENT)

        assert remembered(before) == remembered(state)
        assert run(before, reads[stop:])[1:] == run(state, reads[stop:])[1:]
