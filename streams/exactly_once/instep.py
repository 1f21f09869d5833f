"""Read the topics of a task in step, so that none runs ahead while another has much to read."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from itertools import chain

import numpy as np
from confluent_kafka import KafkaError, Message

from streams.exactly_once.split import At, Split, split, timestamps

MOST_HELD = 100_000  # messages of one partition
PATIENCE = 10.0  # seconds without a turn for anybody: the topic that is waited for is away


class InStep:
    """Holds messages back until those that were written before them on the other topics are here.

    After an outage a consumer gets a long stretch of one topic, then one of the other. A step that
    took them so would see time pass on the first, close its windows, and find the second late.
    A topic whose end has been reached holds nobody up. The order of writing is that of the
    messages' own timestamps, of which the latest so far counts.

    Args:
        topics: The names of the topics of a task.
    """

    def __init__(self, topics: Sequence[str]) -> None:
        self.topics = tuple(topics)
        self.clear()

    def clear(self) -> None:
        """Forget everything: the partitions are read anew from where their tasks stand."""
        self.held: dict[At, list[Message]] = {}
        self.reached: dict[At, int] = {}
        self.drained: set[At] = set()
        self.turned: float | None = None  # when anybody's turn had come

    def take(self, messages: Sequence[Message], now: float) -> list[Message]:
        """The messages, held ones included, whose turn it is; in order within a partition.

        Args:
            messages: As consumed, the ends of partitions and other errors among them.
            now: Monotonic seconds.

        Returns:
            No errors.
        """
        found = split(messages)
        self._note_ends(messages, found)
        for at, run in found.runs.items():  # whatever comes after these was written after them
            self.reached[at] = max(self.reached.get(at, -1), int(timestamps(run).max()))
        if not self.held and self._alone(found.runs.keys()):
            self.turned = now
            return list(chain.from_iterable(found.runs.values()))
        for at, run in found.runs.items():
            self.held.setdefault(at, []).extend(run)
        impatient = self.turned is not None and now - self.turned > PATIENCE
        ready: list[Message] = []
        for at, waiting in self.held.items():
            turn = len(waiting) if impatient else self._turn(at, waiting)
            ready += waiting[:turn]
            self.held[at] = waiting[turn:]
        self.held = {at: waiting for at, waiting in self.held.items() if waiting}
        if ready or not self.held or self.turned is None:
            self.turned = now
        return ready

    def _note_ends(self, messages: Sequence[Message], found: Split) -> None:
        """Which partitions are drained: those whose end came behind their last record."""
        self.drained -= found.runs.keys()
        for i in found.faults:
            each = messages[i]
            at = (each.topic(), each.partition())
            end = each.error().code() == KafkaError._PARTITION_EOF  # noqa: SLF001  # its public name
            if end and found.lasts.get(at, -1) < i:
                self.drained.add(at)
            else:
                self.drained.discard(at)

    def _alone(self, places: Collection[At]) -> bool:
        """Whether the messages are of one topic, and no other has anything to read beside it."""
        return len({topic for topic, _ in places}) == 1 and all(
            (topic, partition) in self.drained
            for name, partition in places
            for topic in self.topics
            if topic != name
        )

    def _turn(self, at: At, waiting: Sequence[Message]) -> int:
        """How many of *waiting* were written before anything that may still come."""
        until = min(
            (
                self.reached.get((topic, at[1]), -1)
                for topic in self.topics
                if (topic, at[1]) not in self.drained
            ),
            default=math.inf,
        )
        later = np.flatnonzero(timestamps(waiting) > until)
        turn = int(later[0]) if len(later) else len(waiting)
        return max(turn, len(waiting) - MOST_HELD)
