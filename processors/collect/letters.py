"""Messages that go on as they came: dead letters, and those that were late."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import numpy.typing as npt

from processors.collect.reading import Headers, Read
from schemas.errors import Reason
from schemas.flow import Emit, Moment
from schemas.topics import LATE, TOPICS, dead_letters

__all__ = ["dead", "late"]

Header = tuple[str, bytes]
DEAD, BEHIND = "__dlq.errors.", "__late."


def dead(read: Read, moment: Moment) -> list[Emit]:
    """The rejected messages, unchanged, with what was wrong in their headers.

    They may be nearly all that there are, so that what many of them say alike is made once.
    """
    topic, partition = dead_letters(TOPICS[read.topic]).name, moment.partition
    header = partial(_header, DEAD)
    place = (header("topic", read.topic), header("partition", partition))
    at = header("timestamp", moment.now)
    offset = f"{DEAD}offset"
    rejected = read.decoded.rejected
    offsets = read.offsets[[each.message for each in rejected]].tolist() if rejected else []
    told: dict[str, tuple[Reason, tuple[Header, ...]]] = {}
    letters = []
    for (message, reason, detail), number in zip(rejected, offsets, strict=True):
        known, why = told.get(detail, (None, ()))
        if known is not reason:
            why = (header("reason", reason.value), header("detail", detail), *place)
            told[detail] = reason, why
        headers = (*why, (offset, b"%d" % number), at)
        if own := read.headers[message]:
            headers = (*_kept(own, DEAD), *headers)
        letters.append(Emit(topic, read.keys[message], read.values[message], partition, headers))
    return letters


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
        "offset": read.offsets[message],
        "timestamp": moment.now,
    }
    found = (_header(prefix, name, fact) for name, fact in told.items())
    return (*_kept(read.headers[message], prefix), *found)


def _header(prefix: str, name: str, fact: object) -> tuple[str, bytes]:
    return f"{prefix}{name}", str(fact).encode()


def _kept(headers: Headers | None, prefix: str) -> list[tuple[str, bytes]]:
    return [each for each in headers or () if not each[0].startswith(prefix)]
