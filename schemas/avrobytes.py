"""Parts of Avro data of ours, straight from the bytes: keys that come again and again, columns."""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat

import native
from schemas.partial import Key

__all__ = ["UnusualError", "keys", "long", "optional", "piece", "strings"]

NAMES = 6  # of a key
KNOWN: dict[bytes, Key] = {}  # for the way in C, which bounds it


class UnusualError(Exception):
    """Another way must decide what the datum is."""


def long(data: bytes, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    zigzag = data[at]
    if zigzag > 127:
        zigzag &= 127
        for shift in range(7, 64, 7):
            at += 1
            zigzag |= (data[at] & 127) << shift
            if data[at] < 128:
                break
        if data[at] > 127 or zigzag >> 64:
            raise UnusualError
    return zigzag >> 1 ^ -(zigzag & 1), at + 1


def optional(data: bytes, at: int) -> tuple[int | None, int]:
    """A number or none, and where it ends."""
    if data[at] == 0:
        return None, at + 1
    if data[at] != 2:
        raise UnusualError
    return long(data, at + 1)


def keys(data: bytes, at: int) -> tuple[tuple[Key, ...], int]:
    """One block of keys; each is found by its lengths alone, and read once."""
    if native.core is not None:
        found: tuple[tuple[Key, ...], int] | None = native.core.read_keys(data, at, KNOWN)
        if found is None:
            raise UnusualError
        return found
    count, at = _count(data, at)
    read = []
    for _ in repeat(None, count):
        start = at
        if data[at] != NAMES << 1:
            raise UnusualError
        at += 1
        for _ in repeat(None, NAMES):
            size = data[at]
            if size & 129:  # of more than one byte, or negative
                raise UnusualError
            at += 1 + (size >> 1)
        if data[at]:
            raise UnusualError
        read.append(_key(data[start:at]))
        at += 1
    return tuple(read), _end(data, at, count)


@lru_cache(1 << 17)
def _key(datum: bytes) -> Key:
    names, at = [], 1
    for _ in repeat(None, NAMES):
        end = at + 1 + (datum[at] >> 1)
        names.append(datum[at + 1 : end].decode())
        at = end
    service, endpoint, model, provider, version, cohort = names
    return service, endpoint, model, provider, version, cohort


def piece(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes with their length before them, and where they end."""
    size, at = long(data, at)
    end = at + size
    if not at <= end <= len(data):
        raise UnusualError
    return data[at:end], end


def strings(data: bytes, at: int) -> tuple[tuple[str, ...], int]:
    """One block of strings, and where it ends."""
    count, at = _count(data, at)
    found = []
    for _ in repeat(None, count):
        text, at = piece(data, at)
        found.append(text.decode())
    return tuple(found), _end(data, at, count)


def _count(data: bytes, at: int) -> tuple[int, int]:
    """How many items the one block of an array has."""
    count, at = long(data, at)
    if not 0 <= count <= len(data):
        raise UnusualError
    return count, at


def _end(data: bytes, at: int, count: int) -> int:
    """Where an array of *count* items ends: there is no second block."""
    if count:
        if data[at]:
            raise UnusualError
        at += 1
    return at
