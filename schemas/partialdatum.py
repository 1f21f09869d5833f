"""Partials from their Avro data, quicker than any datum: their keys come again and again."""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat

import native
from schemas.partial import Key, Partial

__all__ = ["quick"]

NAMES = 6  # of a key
COLUMNS = 10  # of bytes
KNOWN: dict[bytes, Key] = {}  # for the way in C, which bounds it


class _UnusualError(Exception):
    """Another way must decide what the datum is."""


def quick(data: bytes, start: int) -> Partial | None:
    """The partial whose datum, in the contract's own schema, is all of `data[start:]`.

    Returns:
        None: the datum is broken, or written in a way that nothing of ours writes.
    """
    try:
        return _partial(data, start)
    except (IndexError, UnicodeDecodeError, _UnusualError):
        return None


def _partial(data: bytes, at: int) -> Partial:
    source, at = _long(data, at)
    sources, at = _long(data, at)
    watermark, at = _optional(data, at)
    idle = data[at]
    floor, at = _optional(data, at + 1)
    keys, at = _keys(data, at)
    error_types, at = _strings(data, at)
    columns = []
    for _ in repeat(None, COLUMNS):
        size, at = _long(data, at)
        end = at + size
        if not at <= end <= len(data):
            raise _UnusualError
        columns.append(data[at:end])
        at = end
    cell_bytes, at = _long(data, at)
    count_bytes, at = _long(data, at)
    if idle > 1 or at != len(data):
        raise _UnusualError
    key, minute, counters, moments, extremes, cells, counts, failures, failed, units = columns
    return Partial(
        source=source,
        sources=sources,
        watermark=watermark,
        idle=idle == 1,
        floor=floor,
        keys=keys,
        error_types=error_types,
        key=key,
        minute=minute,
        counters=counters,
        moments=moments,
        extremes=extremes,
        cells=cells,
        cell_counts=counts,
        failures=failures,
        failure_counts=failed,
        units=units,
        cell_bytes=cell_bytes,
        count_bytes=count_bytes,
    )


def _long(data: bytes, at: int) -> tuple[int, int]:
    zigzag = data[at]
    if zigzag > 127:
        zigzag &= 127
        for shift in range(7, 64, 7):
            at += 1
            zigzag |= (data[at] & 127) << shift
            if data[at] < 128:
                break
        if data[at] > 127 or zigzag >> 64:
            raise _UnusualError
    return zigzag >> 1 ^ -(zigzag & 1), at + 1


def _optional(data: bytes, at: int) -> tuple[int | None, int]:
    if data[at] == 0:
        return None, at + 1
    if data[at] != 2:
        raise _UnusualError
    return _long(data, at + 1)


def _keys(data: bytes, at: int) -> tuple[tuple[Key, ...], int]:
    """One block of keys; each is found by its lengths alone, and read once."""
    if native.core is not None:
        found: tuple[tuple[Key, ...], int] | None = native.core.read_keys(data, at, KNOWN)
        if found is None:
            raise _UnusualError
        return found
    count, at = _count(data, at)
    keys = []
    for _ in repeat(None, count):
        start = at
        if data[at] != NAMES << 1:
            raise _UnusualError
        at += 1
        for _ in repeat(None, NAMES):
            size = data[at]
            if size & 129:  # of more than one byte, or negative
                raise _UnusualError
            at += 1 + (size >> 1)
        if data[at]:
            raise _UnusualError
        keys.append(_key(data[start:at]))
        at += 1
    return tuple(keys), _end(data, at, count)


@lru_cache(1 << 17)
def _key(datum: bytes) -> Key:
    names, at = [], 1
    for _ in repeat(None, NAMES):
        end = at + 1 + (datum[at] >> 1)
        names.append(datum[at + 1 : end].decode())
        at = end
    service, endpoint, model, provider, version, cohort = names
    return service, endpoint, model, provider, version, cohort


def _strings(data: bytes, at: int) -> tuple[tuple[str, ...], int]:
    count, at = _count(data, at)
    found = []
    for _ in repeat(None, count):
        size, at = _long(data, at)
        if not 0 <= size <= len(data) - at:
            raise _UnusualError
        found.append(data[at : at + size].decode())
        at += size
    return tuple(found), _end(data, at, count)


def _count(data: bytes, at: int) -> tuple[int, int]:
    """How many items the one block of an array has."""
    count, at = _long(data, at)
    if not 0 <= count <= len(data):
        raise _UnusualError
    return count, at


def _end(data: bytes, at: int, count: int) -> int:
    """Where an array of *count* items ends: there is no second block."""
    if count:
        if data[at]:
            raise _UnusualError
        at += 1
    return at
