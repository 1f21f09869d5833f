"""The counting stage in the hand of a test: one round after the other, and faults between them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from confluent_kafka import Message, TopicPartition

from schemas.codec import Codec
from schemas.rollout import Deployment
from schemas.topics import ANOMALIES, DEPLOYMENTS, Topic, changelog, journal
from streams import kafka
from streams.app import partitions_of
from streams.exactly_once.commit import commit
from streams.exactly_once.errors import OutOfStep
from streams.exactly_once.reading import end_of, read
from streams.exactly_once.round import Work, prepare
from streams.exactly_once.session import Home, Session
from tests.integration.streams.counting import STAGE, step

WITHIN = 30.0  # seconds, for all that is waited for


class Member:
    """A worker of the counting stage, without its thread and its agent."""

    def __init__(self, brokers: str, codec: Codec, name: str) -> None:
        self.session = Session.join(STAGE, codec, Home(brokers, name, partitions_of(brokers)))

    def until(self, done: Callable[[], Any]) -> None:
        """Poll until *done*; what is read meanwhile is read again."""
        deadline = time.monotonic() + WITHIN
        while not done():
            assert time.monotonic() < deadline
            self.session.gather()
        self.session.place()

    def take(self) -> None:
        """Wait until partitions were taken over."""
        self.until(lambda: self.session.tasks)

    def works(self) -> list[Work]:
        """The next round, stepped and not committed."""
        deadline = time.monotonic() + WITHIN
        while not (messages := self.session.gather()):
            assert time.monotonic() < deadline
        works = prepare(self.session, messages)
        for work in works:
            work.outcome = step(work.policy, work.task.state, work.read.inputs, work.moment)
        return works

    def count(self, total: int) -> None:
        """Rounds until *total* records were counted."""
        counted = 0
        while counted < total:
            works = self.works()
            commit(self.session, works)
            counted += sum(len(work.read.inputs) for work in works)

        assert total == counted

    def refused(self) -> str:
        """Why no partition can be taken over; then leave."""
        with pytest.raises(OutOfStep) as raised:
            self.take()
        self.session.leave()
        return str(raised.value)


class Died(Exception):
    """The process ended here, as far as Kafka can tell."""


class Dying:
    """A producer whose process dies when it calls one of its methods."""

    def __init__(self, producer: Any, at: str) -> None:
        self.producer, self.at = producer, at

    def __getattr__(self, name: str) -> Any:
        if name == self.at:
            raise Died
        return getattr(self.producer, name)


class Holding:
    """A producer that stops before one of its methods until it is let go."""

    def __init__(self, producer: Any, at: str) -> None:
        self.producer, self.at = producer, at
        self.reached, self.free = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        if name == self.at:
            self.reached.set()
            assert self.free.wait(WITHIN)
        return getattr(self.producer, name)


class Topics:
    """What is sent to the counting stage, and what it and its group leave."""

    def __init__(
        self, brokers: str, codec: Codec, deployment: Callable[[str, int], Deployment]
    ) -> None:
        self.brokers, self.codec, self.deployment = brokers, codec, deployment
        self.producer = kafka.producer(brokers)

    def send(self, *scopes: str, partition: int = 0) -> None:
        """One record of each of *scopes*."""
        for i, scope in enumerate(scopes):
            value = self.codec.encode(DEPLOYMENTS, self.deployment(scope, i))
            self.producer.produce(DEPLOYMENTS.name, value=value, partition=partition)

        assert 0 == self.producer.flush(10)

    def put(self, topic: Topic, key: str, value: bytes | None) -> None:
        """One record to partition 0."""
        self.producer.produce(topic.name, key=key, value=value, partition=0)

        assert 0 == self.producer.flush(10)

    def messages(self, topic: Topic, isolation: str = "read_committed") -> Sequence[Message]:
        """All that is on *topic*."""
        reader = kafka.consumer(
            self.brokers, "test", enable_partition_eof=True, isolation_level=isolation
        )
        try:
            ats = [(topic.name, p) for p in range(partitions_of(self.brokers)[topic.name])]
            return list(read(reader, {at: end_of(reader, at) for at in ats}))
        finally:
            reader.close()

    def counted(self) -> list[str]:
        """The scopes with their counts, as they were told."""
        told = self.messages(ANOMALIES)
        return sorted(self.codec.decode(ANOMALIES, each.value()).id for each in told)

    def committed(self, partition: int = 0) -> int:
        """The group's offset."""
        reader = kafka.consumer(self.brokers, STAGE.group)
        try:
            asked = [TopicPartition(DEPLOYMENTS.name, partition)]
            return int(reader.committed(asked, timeout=10)[0].offset)
        finally:
            reader.close()

    def visible(self) -> list[int]:
        """How many records readers see of what a commit writes, and where the group stands."""
        written = (ANOMALIES, changelog("detect"), journal("detect"))
        return [*(len(self.messages(each)) for each in written), self.committed()]
