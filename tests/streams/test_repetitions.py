"""Which messages repeat each other, by what names them on the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import Message

from schemas.batch import encode_batch
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.flow import Moment
from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from schemas.registry import LocalRegistry
from schemas.topics import METRICS, QUALITY, Topic
from streams.agents import collect
from streams.settings import Settings

STAGE = collect.stage(Settings())
CODEC = Codec(LocalRegistry())
NOW = 1_700_000_000_000
EVENT = MetricEvent(
    timestamp=NOW,
    service="shop",
    endpoint="search",
    model="gpt-4",
    provider="openai",
    latency_ms=1.0,
    tokens_input=1,
    tokens_output=1,
)
SCORE = QualityScore(
    timestamp=NOW,
    service="shop",
    endpoint="search",
    model="gpt-4",
    provider="openai",
    overall=90.0,
    method="judge",
    request_id="a",
)


def fates(*sent: Any, topic: Topic = METRICS) -> tuple[int, int]:
    """How many events count, and how many are repetitions, when *sent* comes a message a commit."""
    state: Any = STAGE.fresh()
    aggregated, duplicates = 0, 0
    for offset, each in enumerate(sent):
        moment = Moment(now=NOW, seed=1, epoch=1, partition=0, partitions=1)
        value = CODEC.encode(topic, each)
        message = Message(topic=topic.name, partition=0, offset=offset, value=value, headers=[])
        read = STAGE.decode(CODEC, [message], moment)
        outcome = STAGE.step(STAGE.policy(Catalog()), state, read.inputs, moment)
        state = outcome.state
        aggregated += outcome.counts["aggregated"]
        duplicates += outcome.counts["duplicates"]
    return aggregated, duplicates


def named(id_: str | None, **changes: Any) -> MetricEvent:
    return replace(EVENT, request_id=id_, **changes)


def batch(
    producer: str = "p", epoch: int = 1, seq: int = 1, events: Sequence[MetricEvent] = (EVENT,) * 3
) -> Any:
    return encode_batch(events, producer, epoch, seq)


def test_an_event_id_counts_once_whatever_else_the_event_says() -> None:
    again = named("a", latency_ms=999.0, service="other", timestamp=NOW - 1)

    assert (1, 2) == fates(named("a"), named("a"), again)


def test_other_event_ids_and_events_without_one_count_each() -> None:
    assert (2, 0) == fates(named("a"), named("b"))
    assert (3, 0) == fates(named(None), named(None), named(""))


@pytest.mark.parametrize(
    "other", [{"producer": "q"}, {"epoch": 2}, {"seq": 2}, {"producer": "p|1", "epoch": 0}]
)
def test_a_batch_counts_once_by_its_producer_epoch_and_sequence(other: dict[str, Any]) -> None:
    assert (3, 3) == fates(batch(), batch())
    assert (6, 0) == fates(batch(), batch(**other))
    assert (6, 6) == fates(batch(), batch(**other), batch(), batch(**other))


def test_a_batch_is_named_by_its_number_not_by_its_events() -> None:
    other = [named("x")] * 2

    assert (3, 2) == fates(batch(), batch(events=other))
    assert (5, 0) == fates(batch(), batch(seq=2, events=other))


def test_a_quality_score_counts_once_by_its_request_and_method() -> None:
    by_hand = replace(SCORE, method="human")

    assert (2, 2) == fates(SCORE, by_hand, SCORE, by_hand, topic=QUALITY)
