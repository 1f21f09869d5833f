"""What merge refused once stays refused for whoever takes over, and what it took is never lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Message

from processors.refused import BLOCK
from processors.summary.pack import pack
from processors.summary.summarize import summarize
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.flow import Moment, Outcome
from schemas.partial import METRICS
from schemas.registry import LocalRegistry
from schemas.topics import AGGREGATES, PARTIALS
from schemas.window import MINUTE
from streams.agents import merge
from streams.exactly_once.errors import OutOfStep
from streams.exactly_once.stage import Stage
from streams.exactly_once.takeover import absorb
from streams.exactly_once.task import Task
from streams.settings import Settings
from tests.streams.log import Log

CODEC = Codec(LocalRegistry())
START = 28_401_120 * MINUTE
NARROW = merge.stage(Settings(partitions_ingest=1))  # refuses what tells of more sources
WIDE = merge.stage(Settings(partitions_ingest=2))
MOMENT = Moment(now=START, seed=1, epoch=1, partition=0, partitions=1)


def partial(offset: int, events: int, *, sources: int = 1, watermark: int = START) -> Message:
    """A partial with so many events of the first minute."""
    none = np.zeros(events, dtype=np.int64)
    found = EventColumns(
        message=none,
        timestamp=np.full(events, START),
        key=none,
        keys=(("shop", "search", "m", "p", "", ""),),
        values=np.full((events, len(METRICS)), ABSENT),
        request=np.ones(events, dtype=np.bool_),
        failed=np.zeros(events, dtype=np.bool_),
        timeout=np.zeros(events, dtype=np.bool_),
        retries=none,
        error_type=np.full(events, ABSENT),
        error_types=(),
        unit=np.full(events, NO_UNIT),
        identity=none.astype(np.uint64),
    )
    told = pack(summarize(found), source=0, sources=sources, watermark=watermark)
    return Message(
        topic=PARTIALS.name,
        partition=0,
        offset=offset,
        value=CODEC.encode(PARTIALS, told),
        headers=[],
        timestamp=(1, START + MINUTE),
    )


def unreadable(offset: int) -> Message:
    """What no version can read."""
    return Message(
        topic=PARTIALS.name,
        partition=0,
        offset=offset,
        value=b"\0no data",
        headers=[],
        timestamp=(1, START + MINUTE),
    )


class Worker:
    """Steps through a log, and keeps what its changelog holds."""

    def __init__(self, stage: Stage[Any, Any], state: Any = None) -> None:
        self.stage = stage
        self.state = stage.fresh() if state is None else state
        self.entries: dict[str, Any] = {}
        self.letters = 0
        self.rows: list[Any] = []
        self.tail: Mapping[str, int] = {}

    def take(self, *messages: Message) -> Outcome[Any]:
        read = self.stage.decode(CODEC, messages, MOMENT)
        policy = self.stage.policy(Catalog())
        outcome: Outcome[Any] = self.stage.step(policy, self.state, read.inputs, MOMENT)
        self.state, self.tail = outcome.state, outcome.tail or {}
        self.entries |= outcome.changes
        self.letters += len(read.dead)
        self.rows += [e.value for e in outcome.emits if e.topic == AGGREGATES.name]
        return outcome

    def successor(self, stage: Stage[Any, Any], log: Sequence[Message]) -> Worker:
        """Whoever takes over, with nothing but the changelog and the log."""
        entries = {name: each for name, each in self.entries.items() if each is not None}
        task = Task(
            partition=0,
            state=stage.restore(entries),
            ends={PARTIALS.name: len(log)},
            tail=self.tail,
        )
        state = absorb(stage, CODEC, stage.policy(Catalog()), Log(log), task, 1, START)  # type: ignore[arg-type]
        found = Worker(stage, state)
        found.entries = dict(self.entries)
        return found

    def requests(self) -> int:
        """Of the first minute, by its last revision."""
        found = [
            row for row in self.rows if (row.window, row.start, row.model) == ("1m", START, "*")
        ]
        return max(found, key=lambda row: row.revision).requests if found else 0


def test_a_refused_partial_counts_once_when_it_is_redriven_after_a_takeover_that_can_read_it() -> (
    None
):
    log = [partial(0, 1), partial(1, 10, sources=2), partial(2, 100)]
    first = Worker(NARROW)
    for each in log:
        first.take(each)

    assert 1 == first.letters
    second = first.successor(WIDE, log)
    redriven = partial(3, 10, sources=1)
    second.take(redriven)
    third = second.successor(WIDE, [*log, redriven])
    third.take(partial(4, 0, watermark=START + MINUTE))

    assert (111, 0) == (third.requests(), second.letters + third.letters)


def test_a_refused_partial_that_nobody_redrives_is_not_counted_whoever_reads_it_again() -> None:
    log = [partial(0, 1), partial(1, 10, sources=2)]
    first = Worker(NARROW)
    first.take(*log)
    second = first.successor(WIDE, log)
    second.take(partial(2, 0, watermark=START + MINUTE))

    assert (1, 1, 0) == (second.requests(), first.letters, second.letters)


def test_a_partial_that_was_taken_is_not_lost_to_a_version_that_cannot_read_it() -> None:
    log = [partial(0, 1), partial(1, 10)]
    first = Worker(WIDE)
    first.take(*log)
    log[1] = unreadable(1)

    with pytest.raises(OutOfStep, match=r"merge\[0\] .*offset 1 was added up.*llmopt reset merge"):
        first.successor(WIDE, log)


def test_a_partial_that_was_taken_counts_for_a_version_that_would_refuse_it() -> None:
    log = [partial(0, 1), partial(1, 10, sources=2)]
    first = Worker(WIDE)
    first.take(*log)
    second = first.successor(NARROW, log)

    assert 11 == sum(each.counters[:, 0].sum() for each in second.state.pending)


def test_a_state_from_before_refusals_were_remembered_is_taken_over() -> None:
    log = [partial(0, 1), partial(1, 10, sources=2), partial(2, 0)]
    first = Worker(NARROW)
    first.take(*log[:2])
    older = {name: each for name, each in first.entries.items() if each.refused is None}
    older["mark"] = replace(older["mark"], mark=replace(older["mark"].mark, noted=None))
    first.entries = older
    second = first.successor(NARROW, log)
    second.take(partial(3, 0, watermark=START + MINUTE))

    assert 1 == second.requests()


def test_good_partials_alone_write_nothing_of_it_and_closed_minutes_need_none_of_it() -> None:
    worker = Worker(NARROW)
    worker.take(partial(0, 1))

    assert ["mark"] == list(worker.entries)
    worker.take(partial(1, 1, sources=2))

    assert [f"refused|{PARTIALS.name}|0"] == list(worker.state.refused)
    worker.take(partial(2, 0, watermark=START + MINUTE))  # nothing waits any more
    outcome = worker.take(partial(BLOCK, 0, watermark=START + MINUTE))

    assert {} == worker.state.refused
    assert outcome.changes[f"refused|{PARTIALS.name}|0"] is None
