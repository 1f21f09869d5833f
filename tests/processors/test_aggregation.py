"""Collect and merge together: events on any partition, twice, late; the windows are right."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from processors import collect, merge
from processors.merge.recompute import batch_windows, content
from schemas.columns import ABSENT, NO_UNIT, Decoded, EventColumns
from schemas.flow import Input, Moment
from schemas.partial import METRICS
from schemas.topics import AGGREGATES, PARTIALS
from schemas.topics import METRICS as TOPIC
from schemas.window import MINUTE

SOURCES, TASKS = 3, 2
START = 28_401_120 * MINUTE
COLLECT = collect.CollectPolicy(destinations=TASKS, horizon=200, singles_from=3, singles_below=3)
MERGE = merge.MergePolicy()
FAR = START + 9 * 1_440 * MINUTE  # closes every window of the events before


def log(rng: np.random.Generator, n: int) -> EventColumns:
    """A partition's events: out of order, some again, some too late, the last one far ahead."""
    at = START + np.sort(rng.integers(0, 90 * MINUTE, n))
    at -= np.where(rng.random(n) < 0.1, rng.integers(0, 14 * MINUTE, n), 0)
    identity = rng.integers(1, 1 << 62, n)
    again = np.flatnonzero(rng.random(n) < 0.05)
    identity[again] = identity[np.maximum(again - rng.integers(1, 50, len(again)), 0)]
    values = rng.lognormal(10, 2, (n, len(METRICS))).astype(np.int64)
    values[rng.random(values.shape) < 0.2] = ABSENT
    failed = rng.random(n) < 0.1
    at[-1], identity[-1] = FAR, 1 << 62
    return EventColumns(
        message=np.arange(n),
        timestamp=at,
        key=rng.integers(0, 12, n),
        keys=tuple((f"s{i % 4}", f"e{i % 6}", f"m{i}", "p", "", "") for i in range(12)),
        values=values,
        request=np.ones(n, dtype=np.bool_),
        failed=failed,
        timeout=failed,
        retries=np.zeros(n, dtype=np.int64),
        error_type=np.where(failed, 0, ABSENT),
        error_types=("timeout",),
        unit=np.where(failed, 7, NO_UNIT),
        identity=identity.astype(np.uint64),
    )


def piece(events: EventColumns, chosen: np.ndarray) -> EventColumns:
    arrays = {
        name: value[chosen]
        for name in events.__slots__
        if isinstance(value := getattr(events, name), np.ndarray)
    }
    return replace(events, **arrays)


def accepted(events: EventColumns) -> EventColumns:
    """By the definitions, one event after the other."""
    heard, fit, newest = dict[int, set[int]](), [], 0
    for offset, (at, identity) in enumerate(
        zip(events.timestamp.tolist(), events.identity.tolist(), strict=True)
    ):
        generation = offset // COLLECT.horizon
        told = heard.setdefault(generation, set())
        fresh = identity not in told and identity not in heard.get(generation - 1, set())
        told.add(identity)
        newest = max(newest, at) if fresh else newest
        fit.append(fresh and at >= newest - COLLECT.grace_ms and at != FAR)
    return piece(events, np.array(fit))


@pytest.mark.parametrize("seed", range(3))
def test_windows_are_right_whatever_partition_an_event_came_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logs = [log(rng, 400) for _ in range(SOURCES)]
    states = [collect.fresh() for _ in logs]
    merged = [merge.fresh() for _ in range(TASKS)]
    offsets, at = [0] * TASKS, [0] * SOURCES
    counts: Counter[str] = Counter()
    last = {}
    while any(at[s] < len(logs[s]) for s in range(SOURCES)):
        source = int(rng.integers(SOURCES))
        stop = min(at[source] + int(rng.integers(1, 80)), len(logs[source]))
        events = piece(logs[source], np.arange(at[source], stop))
        read = collect.Read(
            TOPIC.name,
            np.arange(at[source], stop),
            Decoded(replace(events, message=np.arange(len(events))), ()),
            [b""] * len(events),
            [None] * len(events),
            [()] * len(events),
        )
        at[source] = stop
        moment = Moment(now=stop, seed=0, epoch=1, partition=source, partitions=SOURCES)
        outcome = collect.step(COLLECT, states[source], [read], moment)
        states[source] = outcome.state
        counts.update(outcome.counts)
        for emit in outcome.emits:
            if emit.topic != PARTIALS.name or emit.partition is None:
                continue
            task = emit.partition
            told = Input(PARTIALS.name, offsets[task], emit.value)
            offsets[task] += 1
            moment = Moment(now=0, seed=0, epoch=1, partition=task, partitions=TASKS)
            closed = merge.step(MERGE, merged[task], [told], moment)
            merged[task] = closed.state
            counts["lost"] += closed.counts["late"]
            windows = [each.value for each in closed.emits if each.topic == AGGREGATES.name]
            last.update({window.record_id: window for window in windows})
    expected = batch_windows([accepted(events) for events in logs])

    assert 0 == counts["lost"]
    assert counts["late"] > 0
    assert counts["duplicates"] > 0
    assert SOURCES * 400 == counts["read"]
    assert counts["read"] == counts["aggregated"] + counts["late"] + counts["duplicates"]
    assert {name: content(window) for name, window in expected.items()} == {
        name: content(window) for name, window in last.items()
    }
