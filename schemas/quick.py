"""Events of the usual form to columns in C; whatever is unusual is left to the way in Python."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import native
from schemas import avsc
from schemas.codec import FRAME, same
from schemas.columns import EventColumns, Ints
from schemas.errors import Undecodable
from schemas.events import AHEAD, Clock
from schemas.metric import MetricEvent
from schemas.partial import METRICS, Key
from schemas.registry import Registry

KNOWN: dict[bytes, Key] = {}  # which read_events bounds
LOOKED_AT = 16  # messages, for the schema that most are written with


def quick(
    registry: Registry, values: Sequence[Any], clock: Clock
) -> tuple[EventColumns, Ints] | None:
    """The messages that are events and keep all rules, as columns, and which ones are left.

    Args:
        registry: Knows the writers' schemas.
        values: Bytes, None, or what has them as `value()`.
        clock: What timestamps are checked against.

    Returns:
        None where there is nothing to be had: no extension, or no usual form.

    Raises:
        RegistryUnavailable: A schema is not known and could not be asked for.
    """
    if native.core is None:
        return None
    id_ = usual(registry, values)
    if id_ is None:
        return None
    n = len(values)
    data = values if isinstance(values, list) else list(values)
    eights = np.empty((8, n), np.int64)
    figures = np.empty((n, len(METRICS)), np.int64)
    flags = np.empty((2, n), np.bool_)
    columns = (*eights, figures, *flags)
    oldest, newest = clock.now - clock.retention, clock.now + AHEAD
    asked = (id_, oldest, newest, columns, KNOWN)
    try:
        found, named, types, distinct = native.core.read_events(data, *asked)
    except TypeError:  # some are messages of another kind
        found, named, types, distinct = native.core.read_events(list(map(raw, values)), *asked)
    message, left, timestamp, key, retries, error_type, unit, identity = (
        each[:found] for each in eights
    )
    left = eights[1, : n - found]
    # An absent part of a key reads as "", which may also be said: the key is the same.
    if not distinct:
        keys = {each: i for i, each in enumerate(dict.fromkeys(named))}
        key = np.array([keys[each] for each in named], np.int64)[key]
        named = list(keys)
    return EventColumns(
        message=message,
        timestamp=timestamp,
        key=key,
        keys=tuple(named),
        values=figures[:found],
        request=np.ones(found, np.bool_),
        failed=flags[0, :found],
        timeout=flags[1, :found],
        retries=retries,
        error_type=error_type,
        error_types=tuple(types),
        unit=unit,
        identity=identity.view(np.uint64),
    ), left


def usual(registry: Registry, values: Sequence[Any]) -> int | None:
    """The schema of the first message that is written as we would write it."""
    for each in values[:LOOKED_AT]:
        data = raw(each)
        if data is None or len(data) < FRAME.size or data[0]:
            continue
        _, id_ = FRAME.unpack_from(data)
        try:
            written = registry.schema(id_)
        except Undecodable:
            continue
        if written.name == avsc.full_name(MetricEvent) and same(written, MetricEvent):
            return int(id_)
    return None


def raw(value: Any) -> bytes | None:
    """The bytes of a message's value."""
    if value is None or isinstance(value, bytes):
        return value
    data: bytes | None = value.value()
    return data
