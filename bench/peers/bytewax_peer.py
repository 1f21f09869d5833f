"""Bytewax: read, or fold in tumbling windows of event time, which the topic's end closes."""

from __future__ import annotations

import json
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSource
from bytewax.connectors.kafka import operators as kafka
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, fold_window
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.run import cli_main

from bench.peers.summary import MINUTE, Event, Progress, Summary, Work, add, empty, key_of, read
from bench.peers.summary import shown as as_shown

START = datetime(2025, 1, 1, tzinfo=UTC)
LENGTH = timedelta(milliseconds=MINUTE)


class Nowhere(StatelessSinkPartition[Event]):
    """Takes what is not to be kept."""

    def write_batch(self, items: list[Event]) -> None:
        """Forget them."""


class Nothing(DynamicSink[Event]):
    """A flow must end somewhere."""

    def build(self, *_: Any) -> Nowhere:
        """One for each worker."""
        return Nowhere()


def when(event: Event) -> datetime:
    """The time of an event."""
    return datetime.fromtimestamp(event["timestamp"] / 1_000, UTC)


def never(one: Summary, other: Summary) -> Summary:
    """Only windows that grow together are merged, which these do not."""
    raise NotImplementedError


def shown(item: tuple[str, tuple[int, Summary]]) -> KafkaSinkMessage[bytes, bytes]:
    """A closed window as a message."""
    key, (number, summary) = item
    start = round((START + number * LENGTH).timestamp() * 1_000)
    value = json.dumps(as_shown(key, start, summary)).encode()
    return KafkaSinkMessage(key.encode(), value)


def build(work: Work) -> Dataflow:
    """The flow that does *work*."""
    progress = Progress(work.events)

    def taken(message: Any) -> Event:
        progress.took()
        return read(message.value)

    flow = Dataflow("peer")
    source = KafkaSource([work.brokers], [work.topic], tail=False)
    events = op.map("read", op.input("in", flow, source), taken)
    if not work.windowed:
        op.output("out", events, Nothing())
        return flow
    windows = fold_window(
        "sum",
        op.key_on("key", events, key_of),
        EventClock(when, wait_for_system_duration=timedelta(minutes=2)),
        TumblingWindower(length=LENGTH, align_to=START),
        empty,
        add,
        never,
    )
    kafka.output(
        "out",
        op.map("show", windows.down, shown),
        brokers=[work.brokers],
        topic=work.output,
    )
    return flow


if __name__ == "__main__":
    cli_main(build(Work.of()))
    signal.pause()  # until it was looked at what that cost
