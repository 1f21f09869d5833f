"""The settings of every Kafka client there is, in one place, with what they were measured for."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, Producer

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient, ConsumerGroupDescription

BORN = "@"  # in a consumer's client id, between the worker and when it was started
LARGEST_MESSAGE = 100_000_000  # before compression; what a topic takes is the topic's to say
WAITING = 131_072  # KiB that wait in a producer; a message that were larger would wait for ever


class AtMostOncePer(logging.Filter):
    """Let one record of a kind through per period; librdkafka repeats itself every 50 ms."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds
        self.last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is the first of its kind in the period."""
        kind = f"{record.levelno}:{str(record.msg)[:24]}"
        now = time.monotonic()
        if now - self.last.get(kind, -self.seconds) < self.seconds:
            return False
        self.last[kind] = now
        return True


def client_log() -> logging.Logger:
    """The logger that librdkafka writes to, at a bounded rate."""
    log = logging.getLogger("llmopt.librdkafka")
    if not log.filters:
        log.addFilter(AtMostOncePer(10.0))
    return log


def consumer(brokers: str, group: str, *, log: bool = True, **settings: Any) -> Consumer:
    """A consumer that reads committed records only and commits nothing by itself.

    `fetch.queue.backoff.ms`: with librdkafka's default of 1000 a drain reaches 40 % of its rate.
    """
    config: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "group.id": group,
        "enable.auto.commit": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "fetch.wait.max.ms": 20,
        "fetch.queue.backoff.ms": 10,
        "fetch.message.max.bytes": 8_000_000,
        "reconnect.backoff.max.ms": 1_000,
        "log_level": 3,
    }
    config |= {name.replace("_", "."): value for name, value in settings.items()}
    return Consumer(config, logger=client_log()) if log else Consumer(config)


def transactional_producer(
    brokers: str, name: str, undelivered: list[KafkaError] | None = None
) -> Producer:
    """A producer for exactly one worker and stage.

    Why records were not written is added to *undelivered*: what a commit raises may not say it.

    `retry.backoff.ms`: with the default of 100 each commit meets CONCURRENT_TRANSACTIONS once and
    takes 100 ms instead of 6.
    `metadata.recovery.strategy`: with librdkafka's default the client forgets a broker that it
    cannot reach, but goes on waiting for it as the group's coordinator; send_offsets_to_transaction
    then hangs beyond its time limit (docs/decisions/0012).
    """
    failed = [] if undelivered is None else undelivered
    return Producer(
        {
            "bootstrap.servers": brokers,
            "transactional.id": name,
            "transaction.timeout.ms": 10_000,
            "linger.ms": 0,
            "compression.type": "lz4",
            "message.max.bytes": LARGEST_MESSAGE,
            "queue.buffering.max.messages": 1_000_000,
            "queue.buffering.max.kbytes": WAITING,
            "retry.backoff.ms": 5,
            "retry.backoff.max.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            "metadata.recovery.strategy": "none",
            "log_level": 3,
            "delivery.report.only.error": True,
            "on_delivery": lambda error, _: failed.append(error),
        },
        logger=client_log(),
    )


def producer(brokers: str, **settings: Any) -> Producer:
    """An idempotent producer for commands, catalogs and tools."""
    config: dict[str, Any] = {
        "bootstrap.servers": brokers,
        "enable.idempotence": True,
        "linger.ms": 5,
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "message.max.bytes": LARGEST_MESSAGE,
        "log_level": 3,
    }
    config |= {
        name if callable(value) else name.replace("_", "."): value
        for name, value in settings.items()
    }
    return Producer(config, logger=client_log())


def admin(brokers: str) -> AdminClient:
    """The client that describes and creates."""
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # a stop needs none

    return AdminClient(
        {"bootstrap.servers": brokers, "log_level": 3, "socket.timeout.ms": 10_000},
        logger=client_log(),
    )


def group(asked: AdminClient, name: str, patience: float = 10.0) -> ConsumerGroupDescription:
    """Who is in a consumer group, and in what state that is.

    Raises:
        KafkaException: No broker answers within *patience* (seconds).
        TimeoutError: the same.
    """
    return asked.describe_consumer_groups([name])[name].result(patience)


# The broker is away or slow; librdkafka goes on by itself.
PASSING = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  # the library's public names
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._PARTITION_EOF,  # noqa: SLF001
    }
)
