"""A commit's records against the digests in its journal; a difference named field by field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import msgspec
import numpy as np

from schemas.errors import Undecodable
from schemas.journal import ChangelogEntry, JournalRecord
from schemas.topics import TOPICS
from streams.exactly_once.journal import Record, home
from streams.exactly_once.recording import Diverged, Recording

MOST_FIELDS = 5
LONGEST = 160  # characters of a shown value
ABSENT = object()


def compare(recording: Recording, line: JournalRecord, written: Sequence[Record]) -> None:
    """Check *written* against the journal's digests.

    Raises:
        Diverged: naming the first record that differs, and which of its fields do.
    """
    then = np.frombuffer(line.digests, dtype="<u4").tolist()
    now = [record.digest for record in written]
    if then == now:
        return
    first = next(
        (i for i, (a, b) in enumerate(zip(then, now, strict=False)) if a != b),
        min(len(then), len(now)),
    )
    read = ", ".join(f"{r.topic}[{r.partition}] {r.start}–{r.end - 1}" for r in line.ranges)
    raise Diverged(
        f"{line.stage}[{line.partition}], commit {line.sequence} (read {read or 'nothing'}): "
        f"{_difference(recording, line, then[first:], written[first:], first + 1)}"
    )


def _difference(
    recording: Recording,
    line: JournalRecord,
    then: Sequence[int],
    now: Sequence[Record],
    number: int,
) -> str:
    """What is different from record *number* of a commit on, where both lists begin."""
    if not now:
        return f"record {number} was written then, and nothing is now"
    record = now[0]
    value = _plain(recording, record)
    name = _name(record, value)
    if not then or then[0] in {each.digest for each in now}:
        return f"record {number} is new: {name}"
    was = _found(recording, record, then[0], line)
    if record.digest in then:
        lost = "one" if was is None else _name(was, _plain(recording, was))
        return f"record {number} was {lost} then, which is not written now"
    if was is None or was.key != record.key:
        return f"record {number} is another one: {name}"
    found = list(differing(_plain(recording, was), value))
    more = len(found) - MOST_FIELDS
    shown = [*found[:MOST_FIELDS], *([f"and {more} more"] if more > 0 else [])]
    return "\n  ".join([f"record {number} differs: {name}", *shown])


def differing(then: Any, now: Any, path: str = "") -> Iterator[str]:
    """The fields in which two plain values differ, as `path: then → now`.

    >>> list(differing({"a": [{"b": 0.12}], "c": 1}, {"a": [{"b": 0.13}], "c": 1}))
    ['a[0].b: 0.12 → 0.13']
    >>> list(differing({"a": [1]}, {"a": [1, 2], "b": None}))
    ['a[1]: absent → 2', 'b: absent → null']
    """
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*then, *now)):
            inner = f"{path}.{name}" if path else str(name)
            yield from differing(then.get(name, ABSENT), now.get(name, ABSENT), inner)
    elif isinstance(then, list) and isinstance(now, list):
        for i in range(max(len(then), len(now))):
            was, is_ = (side[i] if i < len(side) else ABSENT for side in (then, now))
            yield from differing(was, is_, f"{path}[{i}]")
    elif then != now:
        yield f"{path or 'value'}: {_shown(then)} → {_shown(now)}"


def _shown(value: Any) -> str:
    if value is ABSENT:
        return "absent"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _name(record: Record, value: Any) -> str:
    """Topic, key, and the record's own name where it has one."""
    key = repr((record.key or b"").decode(errors="replace"))
    id_ = value.get("id") if isinstance(value, Mapping) else None
    return f"{record.topic} {key}" + (f" (id {id_})" if id_ else "")


def _plain(recording: Recording, record: Record) -> Any:
    """A record's value as JSON could write it, or what it is instead."""
    if record.value is None:
        return "deleted"
    topic = TOPICS[record.topic]
    if topic.record is None:
        return record.value.hex()
    key = None if record.key is None else record.key.decode(errors="replace")
    try:
        value = recording.codec.decode(topic, record.value, key=key)
    except Undecodable as error:
        return str(error)
    if isinstance(value, ChangelogEntry):
        return {"kind": value.kind, "payload": msgspec.msgpack.decode(value.payload)}
    return msgspec.to_builtins(value)


def _found(recording: Recording, like: Record, digest: int, line: JournalRecord) -> Record | None:
    """What was written then, found by its digest where *like* would go, about when it was."""
    partition = home(like, recording.partitions, line.partition)
    with closing(recording.since(like.topic, partition, line.now)) as messages:
        for message in messages:
            then = like._replace(key=message.key(), value=message.value())
            if then.digest == digest:
                return then
    return None
