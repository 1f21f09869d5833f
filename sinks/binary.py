"""Columns as PostgreSQL's binary COPY takes them, without an object for each value.

A tuple is the number of its fields and, for each, the length of its value and the value, all
big-endian; NULL has the length -1. A `Piece` is a part of every tuple: some fields one behind the
other, or half of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import Ints

Piece = Any  # Arrow BinaryArray [n] without nulls
Doubles = tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]  # values [n], and which are there

HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TAIL = b"\xff\xff"
NULL = -1
EPOCH = 946_684_800_000  # ms from 1970 to 2000, where PostgreSQL's time begins
INT8, TEXT, FLOAT8 = 20, 25, 701  # object ids of the types of elements


def tuples(pieces: Sequence[Piece]) -> Piece:
    """The tuples [n] that *pieces* are side by side.

    Raises:
        ArrowInvalid: They are more than 2 GB.
    """
    return pc.binary_join_element_wise(*pieces, b"")


def stream(tuples: Piece) -> list[memoryview | bytes]:
    """What COPY FROM STDIN (FORMAT binary) reads: *tuples*, with what comes before and after."""
    first, last = _offsets(tuples)[[0, -1]].tolist()
    return [HEAD, memoryview(tuples.buffers()[2] or b"")[first:last], TAIL]


def opening(n: int, fields: int) -> Piece:
    """What each of *n* tuples of so many *fields* begins with."""
    return _even(np.full(n, fields, ">i2").view(np.uint8), 2)


def numbers(columns: Sequence[npt.NDArray[Any]]) -> Piece:
    """Columns [n] of bool, int64 or float64, a field each."""
    layout = [(f"{i}", _field(each.dtype.newbyteorder(">"))) for i, each in enumerate(columns)]
    table = np.empty(len(columns[0]), layout)
    for i, column in enumerate(columns):
        field = table[f"{i}"]
        field["size"], field["value"] = column.dtype.itemsize, column
    return _even(table.view(np.uint8), table.itemsize)


def _field(kind: Any) -> Any:
    return np.dtype([("size", ">i4"), ("value", kind)])


def doubles(columns: Sequence[Doubles]) -> Piece:
    """Columns of float64, a field each."""
    table = np.empty((len(columns[0][0]), len(columns)), _field(">f8"))
    kept = np.ones((*table.shape, table.itemsize), np.bool_)
    for i, (values, there) in enumerate(columns):
        table["value"][:, i] = values
        table["size"][:, i] = np.where(there, 8, NULL)
        kept[~there, i, 4:] = False
    bounds = np.concatenate([[0], np.cumsum(kept.sum(axis=(1, 2)))])
    return _pieces(table.view(np.uint8).reshape(kept.shape)[kept], bounds)


def texts(column: Any) -> tuple[Piece, Piece]:
    """An Arrow column of strings [n] as a field: its sizes and its values."""
    sizes = np.diff(_offsets(column)).astype(">i4")
    if column.null_count:
        sizes[column.is_null().to_numpy(zero_copy_only=False)] = NULL
        column = column.fill_null("")
    return _even(sizes.view(np.uint8), 4), column.cast(pa.binary())


def numbers_of(bounds: Ints, values: npt.NDArray[Any]) -> tuple[Piece, Piece]:
    """Arrays of int64 or float64 as a field: row i has `values[bounds[i]:bounds[i + 1]]`."""
    table = np.empty(len(values), _field(values.dtype.newbyteorder(">")))
    table["size"], table["value"] = values.dtype.itemsize, values
    kind = FLOAT8 if values.dtype == np.float64 else INT8
    return _arrays(kind, bounds, table.view(np.uint8), bounds * table.itemsize)


def texts_of(bounds: Ints, names: Any, codes: Ints) -> tuple[Piece, Piece]:
    """Arrays of text as a field: row i has the *names* at `codes[bounds[i]:bounds[i + 1]]`."""
    spelled = pc.binary_join_element_wise(*texts(names), b"").take(pa.array(codes))
    data = np.frombuffer(spelled.buffers()[2] or b"", np.uint8)
    return _arrays(TEXT, bounds, data, _offsets(spelled)[bounds])


def _arrays(
    kind: int, bounds: Ints, data: npt.NDArray[np.uint8], ends: Ints
) -> tuple[Piece, Piece]:
    """One-dimensional arrays: sizes and heads, and their elements."""
    names = ("size", "dimensions", "nulls", "kind", "length", "from")
    head = np.zeros(len(bounds) - 1, [(name, ">i4") for name in names])
    head["size"] = head.itemsize - 4 + np.diff(ends)
    head["dimensions"], head["kind"], head["from"] = 1, kind, 1
    head["length"] = np.diff(bounds)
    return _even(head.view(np.uint8), head.itemsize), _pieces(data, ends)


def _even(data: npt.NDArray[np.uint8], size: int) -> Piece:
    return _pieces(data, np.arange(0, data.size + 1, size))


def _pieces(data: npt.NDArray[np.uint8], bounds: Ints) -> Piece:
    buffers = [
        None,
        pa.py_buffer(bounds.astype(np.int32)),
        pa.py_buffer(np.ascontiguousarray(data)),
    ]
    return pa.Array.from_buffers(pa.binary(), len(bounds) - 1, buffers)


def _offsets(column: Any) -> Ints:  # Arrow array of strings or bytes
    found = np.frombuffer(column.buffers()[1], np.int32, len(column) + 1, column.offset * 4)
    return found.astype(np.int64)
