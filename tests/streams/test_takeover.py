from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Message

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.flow import Moment, Outcome
from schemas.registry import LocalRegistry
from schemas.topics import DAY, METRICS
from streams.agents import collect
from streams.exactly_once.stage import Stage
from streams.exactly_once.takeover import absorb
from streams.exactly_once.task import Task
from streams.settings import Settings
from tests.streams.log import Log

STAGE = collect.stage(Settings())
CODEC = Codec(LocalRegistry())
MINUTE = 60_000
NOW = 1_700_000_000_000


def event(offset: int, at: int, id_: str) -> Message:
    told = {
        "timestamp": at,
        "service": "shop",
        "endpoint": "search",
        "model": "gpt-4",
        "provider": "openai",
        "latency_ms": 1,
        "tokens_input": 1,
        "tokens_output": 1,
        "request_id": id_,
    }
    return Message(
        topic=METRICS.name, partition=0, offset=offset, value=json.dumps(told).encode(), headers=[]
    )


def stepped(state: Any, messages: list[Message], now: int) -> Outcome[Any]:
    moment = Moment(now=now, seed=1, epoch=1, partition=0, partitions=1)
    read = STAGE.decode(CODEC, messages, moment)
    return STAGE.step(STAGE.policy(Catalog()), state, read.inputs, moment)


def taken_over(
    outcome: Outcome[Any], log: list[Message], now: int, stage: Stage[Any, Any] = STAGE
) -> Any:
    """The state of another owner, from the changelog and the log."""
    entries = {name: each for name, each in outcome.changes.items() if each is not None}
    task = Task(
        partition=0,
        state=STAGE.restore(entries),
        ends={METRICS.name: len(log)},
        tail=outcome.tail or {},
    )
    return absorb(stage, CODEC, stage.policy(Catalog()), Log(log), task, 1, now)  # type: ignore[arg-type]


def test_an_event_that_was_too_far_ahead_counts_once_when_it_is_sent_again_later() -> None:
    log = [event(0, NOW, "a"), event(1, NOW + 10 * MINUTE, "b")]
    first = stepped(STAGE.fresh(), log, NOW)

    assert (1, 1) == (first.counts["aggregated"], first.counts["dead_lettered.in_the_future"])
    later = NOW + 8 * MINUTE
    state = taken_over(first, log, later)
    redriven = event(2, NOW + 10 * MINUTE, "b")
    again = stepped(state, [redriven, event(3, NOW + 10 * MINUTE, "b"), event(4, NOW, "a")], later)

    assert (1, 2) == (again.counts["aggregated"], again.counts["duplicates"])


@pytest.mark.parametrize("clock", [NOW - 60 * MINUTE, NOW + 8 * DAY])
def test_what_was_taken_is_known_again_whatever_the_new_owners_clock_says(clock: int) -> None:
    log = [event(0, NOW, "a")]
    state = taken_over(stepped(STAGE.fresh(), log, NOW), log, clock)
    again = stepped(state, [event(1, NOW, "a")], NOW)

    assert 1 == again.counts["duplicates"]


def test_a_tail_longer_than_a_batch_is_absorbed_whole() -> None:
    log = [event(i, NOW, str(i)) for i in range(50)]
    first = stepped(STAGE.fresh(), log, NOW)
    state = taken_over(first, log, NOW, replace(STAGE, batch=7))
    again = stepped(state, [event(50 + i, NOW, str(i)) for i in range(50)], NOW)

    assert 50 == again.counts["duplicates"]
