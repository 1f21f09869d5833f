"""Collect and merge at their own pace, whoever is idle: what is aggregated is in the windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import collect, merge
from processors.merge.recompute import batch_windows, content
from schemas.columns import ABSENT, NO_UNIT, Decoded, EventColumns
from schemas.flow import Input, Moment
from schemas.partial import METRICS as MEASURES
from schemas.topics import AGGREGATES, FLOORS, LATE, METRICS, PARTIALS, QUALITY
from schemas.window import MINUTE, WindowAggregate

SOURCES, TASKS = 3, 2
START = 28_401_120 * MINUTE
DAY = 1_440 * MINUTE
FAR = START + 30 * DAY  # closes every window of the events before
COLLECT = collect.CollectPolicy(
    destinations=TASKS, grace_ms=3 * MINUTE, idle_ms=2_000, singles_from=2, singles_below=3
)
MERGE = merge.MergePolicy(grace_ms=3 * MINUTE)
SCOPES = ("shop", "mail", "chat", "code")


def columns(times: Sequence[int]) -> EventColumns:
    """One event a message, of a scope that follows from its time."""
    n = len(times)
    none = np.zeros(n, dtype=np.int64)
    return EventColumns(
        message=np.arange(n),
        timestamp=np.array(times, dtype=np.int64),
        key=np.array(times, dtype=np.int64) % len(SCOPES),
        keys=tuple((scope, "answer", "m", "p", "", "") for scope in SCOPES),
        values=np.full((n, len(MEASURES)), ABSENT),
        request=np.ones(n, dtype=np.bool_),
        failed=np.zeros(n, dtype=np.bool_),
        timeout=np.zeros(n, dtype=np.bool_),
        retries=none,
        error_type=none + ABSENT,
        error_types=(),
        unit=none + NO_UNIT,
        identity=none.astype(np.uint64),
    )


@dataclass
class Net:
    """Tasks of collect and merge, and what is under way between them."""

    clock: int = 0  # ms, of the workers
    reached: int = START  # event time
    collects: list[collect.CollectState] = field(
        default_factory=lambda: [collect.fresh() for _ in range(SOURCES)]
    )
    merges: list[merge.MergeState] = field(
        default_factory=lambda: [merge.fresh() for _ in range(TASKS)]
    )
    epochs: list[int] = field(default_factory=lambda: [1] * SOURCES)
    partials: list[list[Any]] = field(default_factory=lambda: [[] for _ in range(TASKS)])
    floors: list[list[Any]] = field(default_factory=lambda: [[] for _ in range(SOURCES)])
    sent: dict[str, list[int]] = field(default_factory=dict)  # source and topic -> times
    late: list[tuple[str, int]] = field(default_factory=list)  # source and topic, offset
    offsets: Counter[int] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    last: dict[str, WindowAggregate] = field(default_factory=dict)

    def feed(self, source: int, topic: str, times: Sequence[int]) -> None:
        """A source reads events, in this order."""
        log = self.sent.setdefault(f"{source}|{topic}", [])
        offsets = len(log) + np.arange(len(times))
        log += times
        names = [str(offset).encode() for offset in offsets]
        events = Decoded(columns(times), ())
        blank = [None] * len(times)
        self.collect(
            source, [collect.Read(topic, offsets, events, names, blank, [()] * len(times))]
        )

    def collect(self, source: int, batch: Sequence[Any]) -> None:
        """A step of a source; with no batch, a tick."""
        moment = Moment(
            now=self.clock, seed=0, epoch=self.epochs[source], partition=source, partitions=SOURCES
        )
        outcome = collect.step(COLLECT, self.collects[source], batch, moment)
        self.collects[source] = outcome.state
        self.counts.update(outcome.counts)
        for emit in outcome.emits:
            if emit.topic == PARTIALS.name and emit.partition is not None:
                self.partials[emit.partition].append(emit.value)
            elif emit.topic == LATE.name:
                topic = dict(emit.headers)["__late.topic"].decode()
                self.late.append((f"{source}|{topic}", int(emit.value)))

    def deliver(self, task: int, most: int) -> None:
        """A task of merge reads some of what is under way to it."""
        batch = [self.partials[task].pop(0) for _ in range(min(most, len(self.partials[task])))]
        inputs = [
            Input(PARTIALS.name, self.offsets[task] + i, value) for i, value in enumerate(batch)
        ]
        self.offsets[task] += len(batch)
        moment = Moment(now=self.clock, seed=0, epoch=1, partition=task, partitions=TASKS)
        outcome = merge.step(MERGE, self.merges[task], inputs, moment)
        self.merges[task] = outcome.state
        self.counts["lost"] += outcome.counts.get("late", 0)
        for emit in outcome.emits:
            if emit.topic == FLOORS.name and emit.partition is not None:
                self.floors[emit.partition].append(emit.value)
            elif emit.topic == AGGREGATES.name:
                self.last[emit.value.record_id] = emit.value

    def answer(self, source: int) -> None:
        """A source reads what it was asked."""
        asked, self.floors[source] = self.floors[source], []
        self.collect(source, [Input(FLOORS.name, i, each) for i, each in enumerate(asked)])

    def settle(self) -> None:
        """All that is under way arrives."""
        while any(self.partials) or any(self.floors):
            for task in range(TASKS):
                self.deliver(task, 1_000)
            for source in range(SOURCES):
                self.answer(source)

    def end(self) -> None:
        """Every source comes so far that all that was sent before is of closed windows."""
        for at in (FAR, FAR + MINUTE):
            for source in range(SOURCES):
                self.feed(source, METRICS.name, [at])
            self.settle()

    def aggregated(self) -> list[int]:
        """The times of the events that were not late, without the last ones."""
        late = set(self.late)
        return [
            at
            for name, log in self.sent.items()
            for offset, at in enumerate(log)
            if (name, offset) not in late and at < FAR
        ]


sources = st.integers(0, SOURCES - 1)
ages = st.lists(st.integers(0, 20 * MINUTE), min_size=1, max_size=4)
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("feed"), sources, st.sampled_from([METRICS, METRICS, QUALITY]), ages),
        st.tuples(st.just("onwards"), st.integers(0, 4 * MINUTE)),  # event time
        st.tuples(st.just("wait"), st.integers(1, 4_000)),  # the clock
        st.tuples(st.just("deliver"), st.integers(0, TASKS - 1), st.integers(1, 9)),
        st.tuples(st.just("answer"), sources),
        st.tuples(st.just("new owner"), sources),
    ),
    max_size=60,
)


def happen(acts: Sequence[Any]) -> Net:
    net = Net()
    for what, *rest in acts:
        match what:
            case "feed":
                source, topic, old = rest
                net.feed(source, topic.name, [net.reached - age for age in old])
            case "onwards":
                net.reached += rest[0]
            case "wait":
                net.clock += rest[0]
                for source in range(SOURCES):
                    net.collect(source, [])
            case "deliver":
                net.deliver(*rest)
            case "answer":
                net.answer(rest[0])
            case _:
                net.epochs[rest[0]] += 1
    return net


@settings(max_examples=60)
@given(acts=ACTS)
def test_exactly_the_aggregated_events_are_in_the_windows(acts: Sequence[Any]) -> None:
    net = happen(acts)
    net.end()
    expected = batch_windows([columns(net.aggregated())])

    assert 0 == net.counts["lost"]
    assert net.counts["read"] == net.counts["aggregated"] + net.counts["late"]
    assert len(net.late) == net.counts["late"]
    assert {name: content(window) for name, window in expected.items()} == {
        name: content(window) for name, window in net.last.items() if window.start < FAR - 8 * DAY
    }


@settings(max_examples=60)
@given(acts=ACTS)
def test_no_window_is_kept_that_every_source_has_let_go(acts: Sequence[Any]) -> None:
    net = happen(acts)
    net.end()
    over = FAR - COLLECT.delay_ms - MERGE.grace_ms - MINUTE

    assert all(sum(at) > over for state in net.merges for at in state.windows)
    assert all(state.firsts.keys() <= {FAR, FAR + MINUTE} for state in net.merges)


@settings(max_examples=30)
@given(acts=ACTS)
def test_the_same_interleaving_gives_the_same_again(acts: Sequence[Any]) -> None:
    one, other = happen(acts), happen(acts)

    assert (one.counts, one.late, one.last) == (other.counts, other.late, other.last)


def test_a_source_that_was_silent_and_brings_what_is_too_old_says_so_itself() -> None:
    net = Net()
    net.clock += 10_000
    for source in range(SOURCES):
        net.collect(source, [])
    net.clock += 10_000
    for source in range(SOURCES):
        net.collect(source, [])
    for minute in range(9):
        net.feed(0, METRICS.name, [START + minute * MINUTE])
        net.settle()
    net.feed(1, METRICS.name, [START, START + 8 * MINUTE])
    net.end()

    assert [("1|llmopt.metrics.v1", 0)] == net.late
    assert 0 == net.counts["lost"]


def test_scores_that_come_too_long_after_the_requests_are_late_at_their_source() -> None:
    net = Net()
    for minute in range(9):
        for source in range(SOURCES):
            net.feed(source, METRICS.name, [START + minute * MINUTE])
        net.settle()
    net.feed(1, QUALITY.name, [START, START + 8 * MINUTE])
    net.end()

    assert [("1|llmopt.quality.v1", 0)] == net.late
    assert 0 == net.counts["lost"]


def test_what_is_old_is_welcome_while_no_window_had_to_go() -> None:
    net = Net()
    for source in range(SOURCES):
        net.feed(source, METRICS.name, [START])
    net.settle()
    net.feed(2, QUALITY.name, [START - 60 * MINUTE])
    net.end()

    assert [] == net.late
    assert 0 == net.counts["lost"]
