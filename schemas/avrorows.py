"""Avro messages of one record as a table: fast in Rust, or slowly one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyruhvro

from schemas import avsc
from schemas.avsc import Written
from schemas.codec import FRAME, read, same
from schemas.columns import Ints, Rejected
from schemas.errors import Undecodable
from schemas.hashing import strings
from schemas.walk import Walk


@dataclass(frozen=True, slots=True)
class Rows:
    """A table with, for each row, the message that it came from; and messages that gave none."""

    table: Any  # pyarrow.RecordBatch in the order of the record's fields
    message: Ints  # ascending
    rejected: tuple[Rejected, ...] = ()


def read_fast(written: Written, record: type, values: Sequence[bytes], message: Ints) -> Rows:
    """The framed messages *values* as rows of *record*.

    Args:
        written: The schema that they were written with.
        record: The record that is wanted.
        values: The messages, all of that schema, frames included.
        message: [n], the index of each.
    """
    if not same(written, record):
        return read_slowly(written, record, values, message)
    fields = avsc.schema(record)["fields"]
    table, some = _decode(record, values), np.arange(len(values))
    if table is not None:
        # The decoder ignores bytes that are left over. As no datum can be shorter than its
        # values in their shortest form, equal sizes prove that every byte was read; whatever
        # else happened (also a long form that means the same) the slow path decides.
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        sound = footprint(record, table) + FRAME.size == sizes
    else:
        # One datum that ends too early is enough for the decoder to refuse all of them.
        some = np.flatnonzero(Walk(values, FRAME.size).through(fields))
        table = _decode(record, [values[i] for i in some.tolist()])
        if table is None:
            return read_slowly(written, record, values, message)
        sound = np.ones(len(some), np.bool_)
    sound &= legible(table)
    if sound.all() and len(some) == len(values):
        return Rows(table, message)
    fast = some[sound]
    rest = np.setdiff1d(np.arange(len(values)), fast)
    slow = read_slowly(written, record, [values[i] for i in rest.tolist()], message[rest])
    places = np.concatenate([message[fast], slow.message])
    order = np.argsort(places, kind="stable")
    table = pa.concat_batches([table.filter(pa.array(sound)), slow.table]).take(pa.array(order))
    return Rows(table, places[order], slow.rejected)


def legible(table: Any) -> npt.NDArray[np.bool_]:  # RecordBatch
    """Which rows [n] have text that is UTF-8; the decoder does not look."""
    good = np.ones(len(table), np.bool_)
    for column in table.columns:
        if pa.types.is_map(column.type):
            rows = np.repeat(np.arange(len(table)), np.diff(column.offsets.to_numpy()))
            for part in (column.keys, column.items):
                good[rows[_illegible(part)]] = False
        else:
            good[_illegible(column)] = False
    return good


def _illegible(column: Any) -> list[int]:  # Arrow array
    """The rows of a column whose text is not UTF-8; none where it holds no text."""
    if not pa.types.is_string(column.type):
        return []
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        starts, sizes, data = strings(column)
        beyond = np.flatnonzero(data[: int(sizes.sum())] > 127)
        rows = np.unique(np.searchsorted(starts, beyond, "right") - 1).tolist()
        return [row for row in rows if not _is_text(data[starts[row] :][: sizes[row]].tobytes())]
    return []


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_slowly(written: Written, record: type, values: Sequence[bytes], message: Ints) -> Rows:
    """The same as `read_fast`, by fastavro and one by one."""
    rows: list[dict[str, Any]] = []
    kept: list[int] = []
    rejected: list[Rejected] = []
    for name, value in zip(message.tolist(), values, strict=True):
        try:
            rows.append(read(written, record, value, FRAME.size))
        except Undecodable as error:
            rejected.append(Rejected(name, error.reason, error.detail))
        else:
            kept.append(name)
    return Rows(tabled(record, rows), np.array(kept, np.int64), tuple(rejected))


def tabled(record: type, rows: Sequence[Mapping[str, Any]]) -> Any:  # RecordBatch
    """Plain values, one mapping a row, as a table of *record*."""
    layout = arrow(record)
    arrays = []
    for field in layout:
        column = [row[field.name] for row in rows]
        if pa.types.is_map(field.type):
            column = [list(entries.items()) for entries in column]
        arrays.append(pa.array(column, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=layout)


@cache
def arrow(record: type) -> Any:  # pyarrow.Schema
    """The layout of a table of *record*."""
    return pyruhvro.avro_to_arrow_schema(avsc.text(record))


@cache
def framed(record: type) -> str:
    """The schema of a whole message of *record*.

    The frame's zero byte reads as a boolean and the four bytes of the id as a float, so no
    message need be copied to take the frame off.
    """
    schema = json.loads(avsc.text(record))
    frame = [{"name": "_magic", "type": "boolean"}, {"name": "_id", "type": "float"}]
    return json.dumps(schema | {"fields": [*frame, *schema["fields"]]})


def _decode(record: type, values: Sequence[bytes]) -> Any:  # RecordBatch or None
    """The table of *values*, or None when one of them cannot be read."""
    try:
        table = pyruhvro.deserialize_array(list(values), framed(record))
    except ValueError:
        return None
    except BaseException as error:
        # A Rust panic is no Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        return None
    return pa.RecordBatch.from_arrays(table.columns[2:], schema=arrow(record))


def footprint(record: type, table: Any) -> Ints:  # RecordBatch
    """How many bytes each row takes as an Avro datum in its shortest form, [n]."""
    n = len(table)
    total = np.zeros(n, np.int64)
    for field, column in zip(avsc.schema(record)["fields"], table.columns, strict=True):
        kind = field["type"]
        if isinstance(kind, list):
            total += 1  # which of the union
            if not column.null_count:
                total += _sizes(kind[1], column)
            elif column.null_count < n:
                sizes = np.broadcast_to(_sizes(kind[1], column.fill_null(_EMPTY[kind[1]])), n)
                total += np.where(column.is_valid().to_numpy(zero_copy_only=False), sizes, 0)
        else:
            total += _sizes(kind, column)
    return total


_EMPTY = {"string": "", "long": 0, "double": 0.0}


def _sizes(kind: Any, column: Any) -> Ints | int:  # Avro type, Arrow array
    if kind == "double":
        return 8
    if kind == "long":
        values = column.to_numpy()
        return varint((values << 1 ^ values >> 63).view(np.uint64))
    if kind == "string":
        offsets = np.frombuffer(column.buffers()[1], np.int32, len(column) + 1, column.offset * 4)
        sizes = np.diff(offsets).astype(np.int64)
        return sizes + varint((sizes << 1).view(np.uint64))
    # A map: one block of pairs, its number before and a zero behind; or the zero alone.
    offsets = column.offsets.to_numpy()
    counts = np.diff(offsets).astype(np.int64)
    pairs = np.zeros(int(offsets[-1]) + 1, np.int64)
    if len(pairs) == 1:
        return 1
    np.cumsum(_sizes("string", column.keys) + _sizes(kind["values"], column.items), out=pairs[1:])
    opened = np.where(counts > 0, varint((counts << 1).view(np.uint64)), 0)
    inner: Ints = pairs[offsets[1:]] - pairs[offsets[:-1]]
    return 1 + opened + inner


def varint(values: npt.NDArray[np.uint64]) -> Ints | int:
    """How many bytes each value takes, 7 bits a byte; one number if it is the same for all.

    >>> varint(np.array([0, 127, 128, 2**63], np.uint64)).tolist()
    [1, 1, 2, 10]
    """
    if not len(values):
        return 1
    least, most = ((int(v).bit_length() + 6) // 7 or 1 for v in (values.min(), values.max()))
    if least == most:
        return most
    sizes = np.full(len(values), least, np.int64)
    for step in range(least, most):
        sizes += values >= np.uint64(1 << 7 * step)
    return sizes
