"""Read the topics of a task in step, so that none runs ahead while another has much to read."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt
from confluent_kafka import KafkaError, Message

from streams.exactly_once.split import At, Split, sizes, split, timestamps

MOST_HELD = 16 << 20  # bytes of one partition, after which no more of it is fetched
MOST_TAKEN = 32 << 20  # bytes that are handed out at once; more than a round reads
OBJECT = 200  # bytes, of a message beside what it has
PATIENCE = 10.0  # seconds without a turn for anybody: the topic that is waited for is away

Numbers = npt.NDArray[np.int64]


class InStep:
    """Holds messages back until those that were written before them on the other topics are here.

    After an outage a consumer gets a long stretch of one topic, then one of the other. A step that
    took them so would see time pass on the first, close its windows, and find the second late.
    A topic whose end has been reached holds nobody up. The order of writing is that of the
    messages' own timestamps, of which the latest so far counts.

    What is held, and what is handed out, is bounded in bytes: a columnar message has hundreds of
    events. A partition of which too much is held is `full`: it is not to be fetched for a while.

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
        self.full: set[At] = set()
        self.more = False  # there are messages whose turn it is, beyond those handed out
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
        turns = {at: self._turn(at, waiting) for at, waiting in self.held.items()}
        if any(turns.values()) or not self.held or self.turned is None:
            self.turned = now
        elif now - self.turned > PATIENCE:  # until somebody's turn comes
            turns = {at: len(waiting) for at, waiting in self.held.items()}
        taken = earliest({at: self.held[at][:turn] for at, turn in turns.items() if turn})
        self.more = any(taken[at] < turns[at] for at in taken)
        ready = [each for at, count in taken.items() for each in self.held[at][:count]]
        left = {at: waiting[taken.get(at, 0) :] for at, waiting in self.held.items()}
        self.held = {at: waiting for at, waiting in left.items() if waiting}
        self._note_full()
        return ready

    def _note_full(self) -> None:
        """A partition is full until half of what it may hold is left."""
        held = {at: int(weights(waiting).sum()) for at, waiting in self.held.items()}
        self.full = {
            at
            for at, size in held.items()
            if size > (MOST_HELD // 2 if at in self.full else MOST_HELD)
        }

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
        return int(later[0]) if len(later) else len(waiting)


def weights(messages: Sequence[Message]) -> Numbers:
    """What each of *messages* takes in memory, in bytes, [n]."""
    return sizes(messages) + OBJECT


def earliest(ready: Mapping[At, Sequence[Message]]) -> dict[At, int]:
    """How many messages of each place fit into what is handed out at once, the earliest first.

    There is one at least, if there are any.
    """
    found = [weights(run) for run in ready.values()]
    if sum(int(each.sum()) for each in found) <= MOST_TAKEN:
        return {at: len(run) for at, run in ready.items()}
    # A message is not taken before those ahead of it in its partition, whatever its timestamp.
    written = np.concatenate([np.maximum.accumulate(timestamps(run)) for run in ready.values()])
    order = np.argsort(written, kind="stable")
    fits = int(np.searchsorted(np.cumsum(np.concatenate(found)[order]), MOST_TAKEN, "right"))
    places = np.repeat(np.arange(len(found)), [len(each) for each in found])
    counts = np.bincount(places[order[: max(1, fits)]], minlength=len(found))
    return dict(zip(ready, counts.tolist(), strict=True))
