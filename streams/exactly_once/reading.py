"""Read stretches of topics to their very end, committed records only."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Generator, Mapping
from contextlib import closing
from itertools import chain
from typing import TYPE_CHECKING

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from streams.exactly_once.errors import Retake
from streams.exactly_once.queue import queue_of
from streams.exactly_once.split import At, offset, split
from streams.kafka import PASSING

if TYPE_CHECKING:
    from native.core import Queue

AT_ONCE = 10_000  # messages
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

    Raises:
        Retake: as `runs`.
    """
    with closing(runs(consumer, stretches, timeout)) as found:
        yield from chain.from_iterable(found)


def runs(
    consumer: Consumer, stretches: Mapping[At, tuple[int, int]], timeout: float = 60.0
) -> Generator[list[Message], None, None]:
    """Yield the messages of each [start, end), some of one partition at a time, in order.

    The consumer must have `enable.partition.eof` set: the end of a stretch may be a control
    record or an aborted message, which are never delivered, so only the end of the partition or a
    later message says that nothing more will come.

    Raises:
        Retake: nothing came for `timeout` seconds.
    """
    left = {at: stretch for at, stretch in stretches.items() if stretch[0] < stretch[1]}
    if not left:
        return
    queue = queue_of(consumer)
    try:
        _assign(consumer, queue, left)
        deadline = time.monotonic() + timeout
        while left:
            messages = consumer.consume(AT_ONCE, timeout=0.05 if queue is None else 0)
            if queue is not None:
                if any(each.error() is None for each in messages):
                    # Records came past it, and those in it may be later ones: without it, then.
                    queue.close()
                    queue = None
                    _assign(consumer, queue, left)
                    continue
                messages += queue.consume(AT_ONCE, 0.05)
            if messages:
                deadline = time.monotonic() + timeout
            elif time.monotonic() > deadline:
                raise Retake(f"no end of {sorted(left)} within {timeout:.0f} s")
            yield from _taken(messages, left)
    finally:
        consumer.unassign()
        if queue is not None:
            queue.close()


def _assign(consumer: Consumer, queue: Queue | None, left: Mapping[At, tuple[int, int]]) -> None:
    if queue is not None:
        queue.lead(list(left))
    consumer.assign([TopicPartition(*at, start) for at, (start, _) in left.items()])


def _taken(
    messages: list[Message], left: dict[At, tuple[int, int]]
) -> Generator[list[Message], None, None]:
    """Yield what of *messages* is *left* to be read, and take it off."""
    found = split(messages)
    for at, run in found.runs.items():
        if at in left:
            start, end = left[at]
            last = run[-1].offset()
            wanted = run[bisect_left(run, start, key=offset) : bisect_left(run, end, key=offset)]
            if last >= end - 1:
                del left[at]
            else:
                left[at] = (max(start, last + 1), end)
            if wanted:
                yield wanted
    for index in found.faults:
        fault = messages[index]
        at = (fault.topic(), fault.partition())
        if at in left and _ended(fault, left[at][1]):
            del left[at]


def _ended(fault: Message, end: int) -> bool:
    """Whether nothing before *end* can come after *fault*.

    Raises:
        KafkaException: it is an error that will not pass.
    """
    error = fault.error()
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
        return bool(fault.offset() >= end)
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
