"""Messages of the ingest topics to columns: the hot path.

A message may be a framed Avro event, a framed Avro MetricBatch (on the metrics topic), a JSON
object or a JSON list of events.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter, methodcaller
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from schemas import avsc
from schemas.avrorows import Rows, read_fast, read_slowly
from schemas.avsc import Written
from schemas.batch import MetricBatch
from schemas.codec import FRAME, names, same
from schemas.columns import ABSENT, Decoded, EventColumns, Ints, Rejected
from schemas.errors import Reason, Undecodable
from schemas.events import Clock, events
from schemas.faults import faults
from schemas.jsonrows import read_json
from schemas.partial import METRICS as VALUES
from schemas.quick import quick, raw
from schemas.registry import Registry
from schemas.topics import METRICS, QUALITY, TOPICS, Topic
from schemas.unbatch import unbatch

Reader = Callable[[Written, type, Sequence[bytes], Ints], Rows]
T = TypeVar("T")

VALUE = methodcaller("value")
LARGEST = 1_048_576  # bytes of a message


def decode_events(
    registry: Registry,
    topic_name: str,
    values: Sequence[Any],
    now_ms: int,
    retention_ms: int,
) -> Decoded:
    """The events in the messages *values* of one ingest topic.

    A message gives all of its events or none; each message is either in the columns or among
    the rejected.

    Args:
        registry: Knows the writers' schemas.
        topic_name: That of METRICS or QUALITY.
        values: The messages' values, or what has them as `value()`.
        now_ms: The clock, ms since the epoch.
        retention_ms: How far back timestamps may lie, ms.

    Raises:
        RegistryUnavailable: A schema is not known and could not be asked for.
    """
    topic, clock = TOPICS[topic_name], Clock(now_ms, retention_ms)
    found = quick(registry, values, clock) if topic is METRICS else None
    if found is None:
        return _decode(registry, topic, _all(values), clock, read_fast)
    events, left = found
    if not len(left):
        return Decoded(events, ())
    some = Some(_data([values[i] for i in left.tolist()]), left)
    rest = _decode(registry, topic, some, clock, read_fast)
    return Decoded(together([events, rest.events]), rest.rejected)


def decode_slowly(
    registry: Registry,
    topic_name: str,
    values: Sequence[bytes | None],
    now_ms: int,
    retention_ms: int,
) -> Decoded:
    """The same as `decode_events`, with each Avro message read on its own by fastavro."""
    clock = Clock(now_ms, retention_ms)
    return _decode(registry, TOPICS[topic_name], _all(values), clock, read_slowly)


@dataclass(frozen=True, slots=True)
class Some:
    """Some of the messages that are decoded."""

    data: list[bytes]
    message: Ints  # [n], the index of each among all, ascending

    def only(self, at: Ints) -> Some:
        """Those of them that are *at* these places."""
        if len(at) == len(self.data):
            return self
        return Some([self.data[i] for i in at.tolist()], self.message[at])


def _all(values: Sequence[Any]) -> Some:
    return Some(_data(values), np.arange(len(values)))


def _data(values: Sequence[Any]) -> list[bytes]:
    """The bytes of each message, none for one without a value."""
    try:
        return [each or b"" for each in map(VALUE, values)]
    except AttributeError:  # some are bytes already
        return [raw(each) or b"" for each in values]


def _decode(registry: Registry, topic: Topic, some: Some, clock: Clock, reader: Reader) -> Decoded:
    if topic not in (METRICS, QUALITY) or topic.record is None:
        raise ValueError(f"{topic.name} is not an ingest topic: {METRICS.name}, {QUALITY.name}")
    parts: list[Decoded] = []
    forms, ids, rejected = _sorted_out(some)
    by_id = _by_id(np.flatnonzero(forms == AVRO), ids)
    registry.look_up(by_id.keys())
    for id_, at in by_id.items():
        try:
            written, record = _writer(registry, topic, id_)
        except Undecodable as error:
            why = (error.reason, error.detail)
            rejected += [Rejected(m, *why) for m in some.message[at].tolist()]
            continue
        mine = some.only(at)
        found = None
        if reader is read_fast and same(written, record):
            found = faults(record, mine.data, mine.message, clock)
        if found is not None:
            told, broken, untold = found
            rejected += told
            if untold.any():
                odd = mine.only(np.flatnonzero(untold))
                parts.append(events(read_slowly(written, record, odd.data, odd.message), clock))
            mine = mine.only(np.flatnonzero(~(broken | untold)))
        if not mine.data:
            continue
        if record is MetricBatch:
            sound = found is not None  # of which all were judged
            parts.append(unbatch(written, mine.data, mine.message, clock, sound=sound))
        else:
            parts.append(events(reader(written, record, mine.data, mine.message), clock))
    mine = some.only(np.flatnonzero(forms == JSON))
    if mine.data:
        parts.append(events(read_json(topic.record, mine.data, mine.message), clock))
    rejected += [r for part in parts for r in part.rejected]
    return Decoded(
        together([part.events for part in parts]), tuple(sorted(rejected, key=itemgetter(0)))
    )


def _by_id(at: Ints, ids: Ints) -> dict[int, Ints]:
    """Which of the messages *at* these places have which of *ids* [n]; each ascending."""
    order = at[np.argsort(ids[at], kind="stable")]
    found, starts = np.unique(ids[order], return_index=True)
    return dict(zip(found.tolist(), np.split(order, starts[1:]), strict=True)) if at.size else {}


AVRO, JSON, NEITHER = 0, 1, 2


def _sorted_out(some: Some) -> tuple[Ints, Ints, list[Rejected]]:
    """The form of each message [n], the schema id of each Avro one [n], and what is neither."""
    data, n = some.data, len(some.data)
    sizes = np.fromiter(map(len, data), np.int64, n)
    heads = [value[: FRAME.size] for value in data]
    if sizes.min(initial=FRAME.size) < FRAME.size:
        heads = [each if len(each) == FRAME.size else each.ljust(FRAME.size) for each in heads]
    frames = np.frombuffer(b"".join(heads), [("magic", "u1"), ("id", ">u4")])
    forms = np.where(frames["magic"] == 0, AVRO, JSON)
    ids = frames["id"].astype(np.int64)
    bad = (sizes == 0) | (sizes > LARGEST) | ((forms == AVRO) & (sizes < FRAME.size))
    rejected = []
    for m, size in zip(some.message[bad].tolist(), sizes[bad].tolist(), strict=True):
        if not size:
            rejected.append(Rejected(m, Reason.NULL_VALUE, "the message has no value"))
        elif size > LARGEST:
            detail = f"{size} bytes are more than {LARGEST}"
            rejected.append(Rejected(m, Reason.TOO_LARGE, detail))
        else:
            detail = f"{size} bytes are shorter than a frame"
            rejected.append(Rejected(m, Reason.BROKEN_AVRO, detail))
    forms[bad] = NEITHER
    return forms, ids, rejected


def _writer(registry: Registry, topic: Topic, id_: int) -> tuple[Written, type]:
    """The schema *id_* and which record of *topic* it describes."""
    written = registry.schema(id_)
    for record in avsc.records(topic):
        if written.name == avsc.full_name(record):
            return written, record
    detail = f"schema {id_} is {written.name or 'no record'}, not {names(topic)}"
    raise Undecodable(Reason.FOREIGN_SCHEMA, detail)


def together(parts: Sequence[EventColumns]) -> EventColumns:
    """Columns of several kinds of messages as one, in the order of the messages.

    Keys and error types are numbered as they come, whichever way each message was read.
    """
    parts = [part for part in parts if len(part)] or list(parts[:1])
    if len(parts) == 1:
        return parts[0]
    keys = {key: i for i, key in enumerate(dict.fromkeys(k for p in parts for k in p.keys))}
    names = {e: i for i, e in enumerate(dict.fromkeys(e for p in parts for e in p.error_types))}
    message = _concatenated([p.message for p in parts])
    order = np.argsort(message, kind="stable")
    key = [np.array([keys[k] for k in p.keys], np.int64)[p.key] for p in parts]
    # One more place at the end, where ABSENT (−1) points.
    error = [np.array([*map(names.get, p.error_types), ABSENT])[p.error_type] for p in parts]
    key_at, keys_in = _as_they_come(_concatenated(key)[order], tuple(keys))
    error_at, names_in = _as_they_come(_concatenated(error)[order], tuple(names))
    values = [p.values for p in parts] or [np.zeros((0, len(VALUES)), np.int64)]
    return EventColumns(
        message=message[order],
        timestamp=_concatenated([p.timestamp for p in parts])[order],
        key=key_at,
        keys=keys_in,
        values=np.concatenate(values)[order],
        request=_concatenated([p.request for p in parts]).astype(np.bool_)[order],
        failed=_concatenated([p.failed for p in parts]).astype(np.bool_)[order],
        timeout=_concatenated([p.timeout for p in parts]).astype(np.bool_)[order],
        retries=_concatenated([p.retries for p in parts])[order],
        error_type=error_at,
        error_types=names_in,
        unit=_concatenated([p.unit for p in parts])[order],
        identity=_concatenated([p.identity for p in parts]).astype(np.uint64)[order],
    )


def _as_they_come(at: Ints, names: tuple[T, ...]) -> tuple[Ints, tuple[T, ...]]:
    """Indices [n] into *names*, ABSENT among them, with the names in the order of their use."""
    used, first = np.unique(at[at != ABSENT], return_index=True)
    used = used[np.argsort(first)]
    number = np.full(len(names) + 1, ABSENT)  # one more, where ABSENT points
    number[used] = np.arange(len(used))
    return number[at], tuple(names[i] for i in used.tolist())


def _concatenated(arrays: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
