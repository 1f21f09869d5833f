"""Messages by where they are from: confluent_kafka's own, or those of `native.core`."""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from confluent_kafka import Message

import native

At = tuple[str, int]  # a topic, and one of its partitions
Ints = npt.NDArray[np.int64]
offset = methodcaller("offset")


class Split(NamedTuple):
    """Some messages, divided."""

    runs: dict[At, list[Message]]  # the records of each place, ascending by offset
    lasts: dict[At, int]  # where among the messages the last record of each was
    faults: list[int]  # where among them errors are


def split(messages: Sequence[Message]) -> Split:
    """The records among *messages* by topic and partition, and the errors."""
    if native.core is not None:
        found = native.core.split(list(messages))
        if found is not None:
            return Split(*found)
    runs: dict[At, list[Message]] = {}
    lasts: dict[At, int] = {}
    faults: list[int] = []
    for i, each in enumerate(messages):
        if each.error() is not None:
            faults.append(i)
            continue
        at = (each.topic(), each.partition())
        runs.setdefault(at, []).append(each)
        lasts[at] = i
    for run in runs.values():
        run.sort(key=offset)
    return Split(runs, lasts, faults)


def offsets(messages: Sequence[Message]) -> Ints:
    """Their offsets, [n]."""
    return _places(messages)[0]


def timestamps(messages: Sequence[Message]) -> Ints:
    """When they were written, ms since the epoch, [n]."""
    return _places(messages)[1]


def sizes(messages: Sequence[Message]) -> Ints:
    """The bytes of each: value, key and headers, [n]."""
    found = np.empty(len(messages), np.int64)
    if native.core is None or not native.core.sizes(list(messages), found):
        found[:] = list(map(_size, messages))
    return found


def _size(message: Message) -> int:
    headers = sum(len(name) + len(value or b"") for name, value in message.headers() or ())
    return len(message.value() or b"") + len(message.key() or b"") + headers


def _places(messages: Sequence[Message]) -> tuple[Ints, Ints]:
    at, when = np.empty((2, len(messages)), np.int64)
    if native.core is None or not native.core.places(list(messages), at, when):
        at[:] = list(map(offset, messages))
        when[:] = [each.timestamp()[1] for each in messages]
    return at, when
