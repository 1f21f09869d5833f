"""Arroyo, which has no windows and no state: read one by one, or sum up in batches in memory.

In batches, a window is shown when an event of a minute later has come through its partition.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Mapping, Sequence
from typing import Any

from arroyo.backends.kafka import KafkaConsumer, KafkaPayload, KafkaProducer
from arroyo.backends.kafka.configuration import (
    build_kafka_consumer_configuration,
    build_kafka_producer_configuration,
)
from arroyo.processing import StreamProcessor
from arroyo.processing.strategies import (
    BatchStep,
    CommitOffsets,
    ProcessingStrategy,
    ProcessingStrategyFactory,
    Produce,
    RunTask,
    Unfold,
)
from arroyo.types import Commit, Message, Partition, Topic, Value

from bench.peers.summary import (
    MINUTE,
    Progress,
    Summary,
    Work,
    add,
    empty,
    key_of,
    read,
    shown,
)

BATCH = 5_000  # messages
WAIT = 0.5  # seconds


class Windows:
    """The open windows of each partition."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.open: dict[int, dict[tuple[int, str], Summary]] = {}
        self.newest: dict[int, int] = {}  # start of a minute

    def take(self, batch: Message[Sequence[Any]]) -> list[Value[KafkaPayload]]:
        """Sum up a batch; the windows that it closes."""
        for each in batch.payload:
            partition = next(iter(each.committable)).index
            event = read(each.payload.value)
            start = event["timestamp"] // MINUTE * MINUTE
            windows = self.open.setdefault(partition, {})
            place = (start, key_of(event))
            if place not in windows:
                windows[place] = empty()
            add(windows[place], event)
            self.newest[partition] = max(start, self.newest.get(partition, 0))
        self.progress.took(len(batch.payload))
        return [self.message(partition, place) for partition, place in self.closed()]

    def closed(self) -> list[tuple[int, tuple[int, str]]]:
        """The windows before each partition's newest minute."""
        return [
            (partition, place)
            for partition, windows in self.open.items()
            for place in windows
            if place[0] < self.newest[partition]
        ]

    def message(self, partition: int, place: tuple[int, str]) -> Value[KafkaPayload]:
        """A window that is over, as a message."""
        start, key = place
        value = json.dumps(shown(key, start, self.open[partition].pop(place))).encode()
        return Value(KafkaPayload(key.encode(), value, []), {}, None)


class Factory(ProcessingStrategyFactory[KafkaPayload]):
    """What is done with each message."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.progress = Progress(work.events)
        self.producer = KafkaProducer(
            build_kafka_producer_configuration({}, bootstrap_servers=[work.brokers])
        )

    def create_with_partitions(
        self,
        commit: Commit,
        partitions: Mapping[Partition, int],  # noqa: ARG002  # as arroyo calls it
    ) -> ProcessingStrategy[KafkaPayload]:
        """The steps, for the partitions that were just assigned."""
        end: CommitOffsets = CommitOffsets(commit)
        if not self.work.windowed:
            return RunTask(self.read, end)
        show = Produce(self.producer, Topic(self.work.output), end)
        windows = Windows(self.progress)
        return BatchStep(BATCH, WAIT, RunTask(windows.take, Unfold(list, show)))

    def read(self, message: Message[KafkaPayload]) -> None:
        """One event."""
        read(message.payload.value)
        self.progress.took()


def main(work: Work) -> None:
    """Do *work* until told to end."""
    settings = build_kafka_consumer_configuration(
        {}, bootstrap_servers=[work.brokers], group_id=work.group, auto_offset_reset="earliest"
    )
    processor = StreamProcessor(KafkaConsumer(settings), Topic(work.topic), Factory(work))
    signal.signal(signal.SIGTERM, lambda *_: processor.signal_shutdown())
    processor.run()


if __name__ == "__main__":
    main(Work.of())
