"""Read stretches of topics to their very end, committed records only."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.exactly_once.errors import Retake
from streams.kafka import PASSING

At = tuple[str, int]
# A topic that was made just now, or a broker that came back, has no leader for a moment.
UNLED = frozenset({KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE})


def end_of(consumer: Consumer, at: At, timeout: float = 10.0) -> tuple[int, int]:
    """First and next offset of a partition, as the consumer's isolation level sees them.

    Raises:
        KafkaException: they could not be had within *timeout* (seconds).
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            low, high = consumer.get_watermark_offsets(TopicPartition(*at), timeout=timeout)
        except KafkaException as error:
            if error.args[0].code() not in UNLED or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return low, high


def offset_at(consumer: Consumer, at: At, since: int, timeout: float = 10.0) -> int:
    """The offset of the first record that was written at *since* (ms) or later, else the end."""
    asked = TopicPartition(*at, max(since, 0))
    (found,) = consumer.offsets_for_times([asked], timeout=timeout)
    if found.error is not None:
        raise KafkaException(found.error)
    return int(found.offset) if found.offset >= 0 else end_of(consumer, at, timeout)[1]


def read(
    consumer: Consumer, stretches: Mapping[At, tuple[int, int]], timeout: float = 60.0
) -> Generator[Message, None, None]:
    """Yield the messages of each [start, end), in order within a partition.

    The consumer must have `enable.partition.eof` set: the end of a stretch may be a control
    record or an aborted message, which are never delivered, so only the end of the partition or a
    later message says that nothing more will come.

    Raises:
        Retake: nothing came for `timeout` seconds.
    """
    left = {at: stretch for at, stretch in stretches.items() if stretch[0] < stretch[1]}
    if not left:
        return
    consumer.assign([TopicPartition(*at, start) for at, (start, _) in left.items()])
    try:
        deadline = time.monotonic() + timeout
        while left:
            messages = consumer.consume(10_000, timeout=0.05)
            if messages:
                deadline = time.monotonic() + timeout
            elif time.monotonic() > deadline:
                raise Retake(f"no end of {sorted(left)} within {timeout:.0f} s")
            for message in messages:
                at = (message.topic(), message.partition())
                if at not in left:
                    continue
                if message.error() is None and message.offset() < left[at][1]:
                    yield message
                if _ended(message, left[at][1]):
                    del left[at]
    finally:
        consumer.unassign()


def _ended(message: Message, end: int) -> bool:
    """Whether nothing before *end* can come after *message*.

    Raises:
        KafkaException: it is an error that will not pass.
    """
    error = message.error()
    if error is None:
        return bool(message.offset() >= end - 1)
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
        return bool(message.offset() >= end)
    if error.retriable() or error.code() in PASSING:
        return False
    raise KafkaException(error)


def stable_end(
    committed: Consumer, uncommitted: Consumer, ats: list[At], timeout: float = 30.0
) -> dict[At, tuple[int, int]]:
    """The stretch of each partition up to its high watermark, once no transaction is open in it.

    A dead worker's open transaction may still be committed or aborted by the coordinator: what it
    wrote is part of the state or not, and only waiting tells.
    """
    marks = {at: end_of(uncommitted, at) for at in ats}
    deadline = time.monotonic() + timeout
    for at, (_, high) in marks.items():
        while end_of(committed, at)[1] < high:
            if time.monotonic() > deadline:
                raise Retake(f"a transaction on {at[0]}[{at[1]}] stayed open for {timeout:.0f} s")
            time.sleep(0.05)
    return marks
