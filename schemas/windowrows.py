"""Many windows at once from their Avro data: columns in Rust, and a dataclass around each row."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

import msgspec
import numpy as np
import pyarrow as pa
import pyruhvro

from schemas import avsc
from schemas.columns import Ints
from schemas.metrictable import MetricTable
from schemas.window import EnrichedWindow, WindowAggregate

__all__ = ["RECORDS", "tables", "windows"]

RECORDS = (WindowAggregate, EnrichedWindow)
PLAIN = (str, int, bool, float | None)
FEW = 8  # data are left to others when one of so few cannot be read


def tables(record: type, data: Sequence[bytes]) -> list[tuple[Ints, Any]]:
    """The Avro data of *record*, one of RECORDS, that can be read many at once.

    A datum is taken if what was read of it would be written in the same bytes again: nothing can
    be left over or misread then. Another way must decide about the others.

    Returns:
        Which data they are, ascending, and an Arrow RecordBatch of as many rows; some of both.
    """
    table = _table(record, data)
    if table is None and len(data) <= FEW:
        return []
    if table is None:
        half = len(data) // 2
        rest = tables(record, data[half:])
        return tables(record, data[:half]) + [(at + half, table) for at, table in rest]
    again = pyruhvro.serialize_record_batch(table, avsc.text(record), 1)
    written = (datum for part in again for datum in part.to_pylist())
    pairs = zip(data, written, strict=True)
    sound = np.fromiter((datum == same for datum, same in pairs), np.bool_, len(data))
    if not sound.all():
        table = table.filter(pa.array(sound))
    return [(np.flatnonzero(sound), table)] if len(table) else []


def windows(record: type, table: Any) -> list[Any]:
    """Each row of a *table* that `tables` has found, as a *record*; its metrics are a `MetricRow`.

    Raises:
        ValueError: A value is none of its type.
    """
    return _values(record, table)


def _table(record: type, data: Sequence[bytes]) -> Any:  # RecordBatch or None
    try:
        table = pyruhvro.deserialize_array(list(data), avsc.text(record))
        table.validate(full=True)
    except (ValueError, pa.ArrowInvalid):
        return None
    except BaseException as error:
        # A Rust panic is no Exception, and its class cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        return None
    return table


def _values(record: type, table: Any) -> list[Any]:  # RecordBatch or StructArray
    """Each row of *table* as a *record*.

    Raises:
        ValueError: A value is none of its type.
    """
    columns = [
        _column(name, kind, table.field(name) if isinstance(table, pa.StructArray) else table[name])
        for name, kind in _kinds(record).items()
    ]
    return [
        record(**dict(zip(_kinds(record), row, strict=True))) for row in zip(*columns, strict=True)
    ]


def _column(name: str, kind: Any, column: Any) -> list[Any]:  # Arrow array
    if kind is WindowAggregate:
        return _values(kind, column)
    if name == "metrics":
        with suppress(ValueError):  # in an order that is not ours, or with a name twice
            return MetricTable.of(column).rows()
    plain: list[Any] = column.to_pylist()
    if kind in PLAIN:
        return plain
    if pa.types.is_map(column.type):
        plain = [dict(pairs) for pairs in plain]
    converted: list[Any] = msgspec.convert(plain, list[kind])
    return converted


@cache
def _kinds(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in fields(record)}
