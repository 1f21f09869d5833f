"""What a commit wrote, as bytes and digests; the same code for a live commit and its replay."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import native
from schemas.codec import Codec
from schemas.flow import Emit, Outcome
from schemas.scope import murmur2
from schemas.topics import TOPICS, changelog
from streams.exactly_once.changelog import entry

FRAME = 5  # magic byte and schema id, which another registry would number differently


class Record(NamedTuple):
    """A record as it goes into the transaction."""

    topic: str
    partition: int | None
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def digest(self) -> int:
        """CRC-32 of topic, key and body."""
        body = self.value or b""
        if body[:1] == b"\0":
            body = body[FRAME:]
        head = f"{self.topic}|{self.value is None}|".encode() + (self.key or b"") + b"|"
        return zlib.crc32(body, zlib.crc32(head))


def records(
    stage: str, partition: int, outcome: Outcome[Any], dead: Sequence[Emit], codec: Codec
) -> list[Record]:
    """All that *outcome* writes, in order: dead letters, emits, then changes sorted by key."""
    state = changelog(stage)
    changes = [
        Record(
            topic=state.name,
            partition=partition,
            key=key.encode(),
            value=None if value is None else codec.encode(state, entry(value)),
        )
        for key, value in sorted(outcome.changes.items())
    ]
    return [_record(emit, codec) for emit in (*dead, *outcome.emits)] + changes


def _record(emit: Emit, codec: Codec) -> Record:
    topic, key, value, partition, headers = emit
    if value is not None and not isinstance(value, bytes):
        value = codec.encode(TOPICS[topic], value)
    if key is not None and not isinstance(key, bytes):
        key = key.encode() or None
    return Record(topic, partition, key, value, headers)


def digests(written: Sequence[Record]) -> bytes:
    """The digest of each record, packed as little-endian u32."""
    if native.core is not None:
        packed: bytes = native.core.digests(list(written))
        return packed
    return np.array([each.digest for each in written], dtype="<u4").tobytes()


def home(record: Record, partitions: Mapping[str, int], origin: int) -> int:
    """The partition of a record that names none: its key's, else that of its origin."""
    if record.partition is not None:
        return record.partition
    count = partitions[record.topic]
    if record.key is None:
        return origin % count
    return (murmur2(record.key) & 0x7FFFFFFF) % count
