"""Values as Avro data: a function for each type of the contract, put together once per record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from operator import attrgetter
from struct import Struct
from typing import Any

from schemas import avsc
from schemas.metrictable import MetricRow

__all__ = ["writer"]

Write = Callable[[Any], bytes]

END = b"\0"  # of an array or a map


@cache
def writer(record: type) -> Write:
    r"""What makes an Avro datum of a *record* of the contract, maps in the order of their keys.

    >>> from schemas.floor import Floor
    >>> writer(Floor)(Floor(task=1, before=-60_000))
    b'\x02\xbf\xa9\x07'

    Raises:
        ValueError: There is no writer for a type in the record's schema.
    """
    return _of(avsc.schema(record), {})


def _of(kind: Any, named: dict[str, Write]) -> Write:  # an Avro type
    write: Write
    match kind:
        case ["null", some]:
            write = _optional(_of(some, named))
        case {"type": "array", "items": items}:
            write = _array(_of(items, named))
        case {"type": "map", "values": values}:
            write = _map(_of(values, named))
        case {"type": "record", "name": name, "fields": fields}:
            named[name] = lambda value: named[name](value)  # noqa: PLW0108  # it may hold itself
            write = named[name] = _record(fields, named)
        case str() if kind in PLAIN:
            write = PLAIN[kind]
        case str() if kind in named:
            write = named[kind]
        case _:
            raise ValueError(f"Nothing writes {kind!r}: let schemas/datum.py, or use another type.")
    return write


def _record(fields: list[Any], named: dict[str, Write]) -> Write:
    get = attrgetter(*(field["name"] for field in fields))
    writes = [_of(field["type"], named) for field in fields]
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


PLAIN: Mapping[str, Write] = {
    "boolean": _boolean,
    "int": _long,
    "long": _long,
    "double": Struct("<d").pack,
    "string": _string,
    "bytes": _bytes,
}
