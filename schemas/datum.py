"""Values as Avro data, by a plan for each record: in C where it was built, else by functions."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache, partial
from operator import attrgetter
from struct import Struct
from typing import Any

import native
from schemas import avsc
from schemas.metrictable import MetricRow

__all__ = ["plainly", "plan", "writer"]

Write = Callable[[Any], bytes]

END = b"\0"  # of an array or a map


# As in datum.c.
LONG, STRING, BYTES, BOOLEAN, DOUBLE, OPTIONAL, ARRAY, MAP, RECORD, KNOWN = range(10)
Plan = list[Any]
"""A kind, then what it is made of: plans; for a RECORD the names of its fields and their plans. A
record that holds itself is a list that does. What is KNOWN, names that make a key, has the data of
those that were written before beside its plan."""


@cache
def writer(record: type) -> Write:
    r"""What makes an Avro datum of a *record* of the contract, maps in the order of their keys.

    >>> from schemas.floor import Floor
    >>> writer(Floor)(Floor(task=1, before=-60_000))
    b'\x02\xbf\xa9\x07'

    Raises:
        ValueError: There is no writer for a type in the record's schema.
    """
    found = plan(record)
    return _of(found, {}) if native.core is None else partial(native.core.datum, found)


def plan(record: type) -> Plan:
    """How a *record* of the contract is written.

    Raises:
        ValueError: There is no plan for a type in the record's schema.
    """
    return _plan(avsc.schema(record), {})


def plainly(record: type) -> Write:
    """The writer in Python, which is what `writer` is where nothing was built."""
    return _of(plan(record), {})


def _plan(kind: Any, named: dict[str, Plan]) -> Plan:  # an Avro type
    match kind:
        case ["null", some]:
            return [OPTIONAL, _plan(some, named)]
        case {"type": "array", "items": items}:
            each = _plan(items, named)
            return [ARRAY, [KNOWN, each, {}] if each == [ARRAY, [STRING]] else each]
        case {"type": "map", "values": values}:
            return [MAP, _plan(values, named), MetricRow]
        case {"type": "record", "name": name, "fields": fields}:
            found: Plan = [RECORD]
            named[name] = found
            names = tuple(sys.intern(field["name"]) for field in fields)
            found += [names, tuple(_plan(field["type"], named) for field in fields)]
            return found
        case str() if kind in PLAIN:
            return [PLAIN[kind]]
        case str() if kind in named:
            return named[kind]
        case _:
            raise ValueError(f"Nothing writes {kind!r}: let schemas/datum.py, or use another type.")


def _of(plan: Plan, known: dict[int, Write]) -> Write:
    kind, *parts = plan
    match kind:
        case _ if kind in WRITES:
            return WRITES[kind]
        case _ if kind == OPTIONAL:
            return _optional(_of(parts[0], known))
        case _ if kind == KNOWN:
            return _of(parts[0], known)
        case _ if kind == ARRAY:
            return _array(_of(parts[0], known))
        case _ if kind == MAP:
            return _map(_of(parts[0], known))
        case _:
            at = id(plan)
            if at not in known:
                known[at] = lambda value: known[at](value)  # noqa: PLW0108  # it may hold itself
                names, plans = parts
                known[at] = _record(names, [_of(each, known) for each in plans])
            return known[at]


def _record(names: Sequence[str], writes: Sequence[Write]) -> Write:
    get = attrgetter(*names)
    if len(writes) == 1:
        return lambda value: writes[0](get(value))
    return lambda value: b"".join([write(each) for write, each in zip(writes, get(value))])  # noqa: B905  # strict costs a tenth


def _optional(write: Write) -> Write:
    return lambda value: b"\0" if value is None else b"\2" + write(value)


def _array(write: Write) -> Write:
    each = _longs if write is _long else lambda values: b"".join(map(write, values))
    return lambda values: _long(len(values)) + each(values) + END if values else END


def _map(write: Write) -> Write:
    def pairs(values: Mapping[str, Any]) -> bytes:
        if isinstance(values, MetricRow):
            return values.avro
        if not values:
            return END
        each = [_string(key) + write(values[key]) for key in sorted(values)]
        return b"".join([_long(len(each)), *each, END])

    return pairs


def _string(value: str) -> bytes:
    text = str.encode(value)
    return _long(len(text)) + text


def _bytes(value: bytes) -> bytes:
    return _long(len(value)) + value


def _boolean(value: bool) -> bytes:  # noqa: FBT001  # it is the value
    return b"\1" if value else b"\0"


def _long(value: int) -> bytes:
    """Zigzag, so that small numbers of either sign are short; then 7 bits a byte, lowest first."""
    zigzag = value << 1 ^ value >> 63
    return SHORT[zigzag] if zigzag < len(SHORT) else _digits(value)


def _longs(values: tuple[int, ...]) -> bytes:
    try:
        return b"".join([SHORT[value << 1 ^ value >> 63] for value in values])
    except IndexError:
        return b"".join(map(_long, values))


@lru_cache(4_096)  # the times of a window stand in each of its rows
def _digits(value: int) -> bytes:
    zigzag = value << 1 ^ value >> 63
    if zigzag >> 64:
        raise OverflowError(f"{value} does not fit 64 bits")
    found = bytearray()
    while zigzag > 127:
        found.append(zigzag & 127 | 128)
        zigzag >>= 7
    found.append(zigzag)
    return bytes(found)


SHORT = [_digits(zigzag >> 1 ^ -(zigzag & 1)) for zigzag in range(1 << 14)]  # of one byte or two


PLAIN = {
    "boolean": BOOLEAN,
    "int": LONG,
    "long": LONG,
    "double": DOUBLE,
    "string": STRING,
    "bytes": BYTES,
}
WRITES: Mapping[int, Write] = {
    BOOLEAN: _boolean,
    LONG: _long,
    DOUBLE: Struct("<d").pack,
    STRING: _string,
    BYTES: _bytes,
}
