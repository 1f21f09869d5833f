"""Messages that go on as they came: dead letters, and those that were late."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from processors.collect.reading import Read
from schemas.flow import Emit, Moment
from schemas.topics import LATE, TOPICS, dead_letters

__all__ = ["dead", "late"]

DEAD, BEHIND = "__dlq.errors.", "__late."


def dead(read: Read, moment: Moment) -> list[Emit]:
    """The rejected messages, unchanged, with what was wrong in their headers."""
    topic = dead_letters(TOPICS[read.topic]).name
    return [
        Emit(
            topic=topic,
            key=read.keys[rejected.message],
            value=read.values[rejected.message],
            partition=moment.partition,
            headers=_headers(
                read,
                rejected.message,
                DEAD,
                {"reason": rejected.reason.value, "detail": rejected.detail},
                moment,
            ),
        )
        for rejected in read.decoded.rejected
    ]


def late(
    read: Read, behind: npt.NDArray[np.bool_], floor: int | None, moment: Moment
) -> list[Emit]:
    """The messages with late events, each once, with how many of its events were late.

    The *floor* that was in force is told, too, so that their fate can be found again.
    """
    told = {} if floor is None else {"floor": floor}
    messages, events = np.unique(read.decoded.events.message[behind], return_counts=True)
    return [
        Emit(
            topic=LATE.name,
            key=read.keys[message],
            value=read.values[message],
            partition=moment.partition,
            headers=_headers(read, message, BEHIND, {"events": count, **told}, moment),
        )
        for message, count in zip(messages.tolist(), events.tolist(), strict=True)
    ]


def _headers(
    read: Read, message: int, prefix: str, facts: Mapping[str, object], moment: Moment
) -> tuple[tuple[str, bytes], ...]:
    """The message's own headers and what is told of it; what was told before is replaced."""
    told = {
        **facts,
        "topic": read.topic,
        "partition": moment.partition,
        "offset": int(read.offsets[message]),
        "timestamp": moment.now,
    }
    kept = [each for each in read.headers[message] if not each[0].startswith(prefix)]
    return (*kept, *((f"{prefix}{name}", str(fact).encode()) for name, fact in told.items()))
