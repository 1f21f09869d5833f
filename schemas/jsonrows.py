"""Plain JSON messages as a table: an event each, or a list of them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa

from schemas.avrorows import Rows, arrow
from schemas.columns import Ints, Rejected
from schemas.errors import Reason

CHUNK = 256  # rows taken apart at a time, too few to set off a garbage collection
Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


def read_json(record: type, values: Sequence[bytes], message: Ints) -> Rows:
    """The JSON messages *values* as rows of *record*.

    Args:
        record: The record that is wanted.
        values: The messages; the first character says whether one is a list.
        message: [n], the index of each.
    """
    one, many = decoders(record)
    try:
        return Rows(tabled(record, list(map(one.decode, values))), message)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # one of them is bad, or a list: which, is found one by one
    rows: list[Any] = []
    kept: list[int] = []
    rejected: list[Rejected] = []
    for name, value in zip(message.tolist(), values, strict=True):
        try:
            found = many.decode(value) if value.lstrip()[:1] == b"[" else [one.decode(value)]
        except msgspec.ValidationError as error:
            rejected.append(Rejected(name, _reason(str(error)), str(error)))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            rejected.append(Rejected(name, Reason.BROKEN_JSON, str(error)))
        else:
            rows += found
            kept += [name] * len(found)
            if not found:
                rejected.append(Rejected(name, Reason.WRONG_SHAPE, "a list without events"))
    return Rows(tabled(record, rows), np.array(kept, np.int64), tuple(rejected))


def tabled(record: type, rows: Sequence[Any]) -> Any:  # pyarrow.RecordBatch
    """Decoded events as a table of *record*."""
    layout = arrow(record)
    columns: list[list[Any]] = [[] for _ in layout]
    for start in range(0, len(rows), CHUNK):
        chunk = map(msgspec.structs.astuple, rows[start : start + CHUNK])
        for column, values in zip(columns, zip(*chunk, strict=True), strict=True):
            column.extend(values)
    arrays = []
    for field, column in zip(layout, columns, strict=True):
        if pa.types.is_map(field.type):
            filled = any(column)
            entries = [list(e.items()) if e else () for e in column] if filled else column
            arrays.append(pa.array(entries, field.type) if filled else _empty(field, len(column)))
        else:
            arrays.append(pa.array(column, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=layout)


def _empty(field: Any, n: int) -> Any:  # Arrow field and array
    """As many maps without entries."""
    offsets = pa.array(np.zeros(n + 1, np.int32))
    parts = (pa.array([], kind) for kind in (field.type.key_type, field.type.item_type))
    return pa.MapArray.from_arrays(offsets, *parts, type=field.type)


@cache
def decoders(record: type) -> tuple[msgspec.json.Decoder[Any], msgspec.json.Decoder[Any]]:
    """Decoders of one event and of a list of them.

    The events are structs like the dataclass, in less time: whole numbers must fit 64 bits, a
    map may be null.
    """
    hints = typing.get_type_hints(record)
    fields: list[Any] = []
    for field in dataclasses.fields(record):
        kind, default = hints[field.name], field.default
        if typing.get_origin(kind) is Mapping:
            kind, default = dict[typing.get_args(kind)] | None, None  # type: ignore[misc]
        elif kind is int:
            kind = Int64
        elif kind == int | None:
            kind = Int64 | None
        required = default is dataclasses.MISSING
        fields.append((field.name, kind) if required else (field.name, kind, default))
    struct = msgspec.defstruct(record.__name__, fields, gc=False, frozen=True)
    return msgspec.json.Decoder(struct), msgspec.json.Decoder(list[struct])  # type: ignore[valid-type]


def _reason(sentence: str) -> Reason:
    if "out of range" in sentence or "Expected `int` <=" in sentence:
        return Reason.OUT_OF_RANGE
    return Reason.NEGATIVE if "Expected `int` >=" in sentence else Reason.WRONG_SHAPE
