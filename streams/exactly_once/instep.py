"""Read the topics of a task in step, so that none runs ahead while another has much to read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import compress

from confluent_kafka import KafkaError, Message

from streams.exactly_once.reading import At

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
        messages, places = self._ends_noted(messages)
        if not self.held and self._alone(places):
            self.turned = now
            # The last of a partition stands for all: the times of a producer rise.
            lasts = dict(zip(map(Message.partition, messages), messages, strict=True))
            for at in places:
                self._reach(at, lasts[at[1]])
            return messages
        for each in messages:
            at = (each.topic(), each.partition())
            self.held.setdefault(at, []).append(each)
            self._reach(at, each)
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

    def _reach(self, at: At, message: Message) -> None:
        """Whatever comes after *message* was written after it."""
        self.reached[at] = max(self.reached.get(at, -1), message.timestamp()[1])

    def _ends_noted(self, messages: Sequence[Message]) -> tuple[list[Message], set[At]]:
        """The messages that are no errors, and where they are from.

        Which partitions are drained is known afterwards.
        """
        rest, places, start = list[Message](), set[At](), 0
        # Errors are few; what lies between them is looked at without a Python call a message.
        errors = compress(range(len(messages)), map(Message.error, messages))
        for stop in (*errors, len(messages)):
            run = messages[start:stop]
            rest += run
            from_ = _places(run)
            places |= from_
            self.drained -= from_
            start = stop + 1
            if stop == len(messages):
                break
            each = messages[stop]
            at = (each.topic(), each.partition())
            if each.error().code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
                self.drained.add(at)
            else:
                self.drained.discard(at)
        return rest, places

    def _alone(self, places: set[At]) -> bool:
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
        ready = (i for i, each in enumerate(waiting) if each.timestamp()[1] > until)
        return max(next(ready, len(waiting)), len(waiting) - MOST_HELD)


def _places(messages: Sequence[Message]) -> set[At]:
    """Where the messages are from."""
    names = set(map(Message.topic, messages))
    if len(names) == 1:
        (name,) = names
        return {(name, partition) for partition in set(map(Message.partition, messages))}
    return {(each.topic(), each.partition()) for each in messages}
