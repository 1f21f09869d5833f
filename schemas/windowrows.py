"""Many windows at once from their Avro data: columns in Rust, and a dataclass around each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any, get_type_hints

import msgspec
import pyarrow as pa
import pyruhvro

from schemas import avsc
from schemas.metrictable import MetricTable
from schemas.window import EnrichedWindow, WindowAggregate

__all__ = ["RECORDS", "windows"]

RECORDS = (WindowAggregate, EnrichedWindow)
PLAIN = (str, int, bool, float | None)
FEW = 8  # data are left to others when one of so few cannot be read


def windows(record: type, data: Sequence[bytes]) -> list[Any | None]:
    """The *record*, one of RECORDS, that each Avro datum is; None where another way must decide.

    A datum is taken if what was read of it would be written in the same bytes again: nothing can
    be left over or misread then. Its metrics are a `MetricRow`.
    """
    table = _table(record, data)
    if table is None and len(data) <= FEW:
        return [None] * len(data)
    if table is None:
        half = len(data) // 2
        return windows(record, data[:half]) + windows(record, data[half:])
    again = pyruhvro.serialize_record_batch(table, avsc.text(record), 1)
    written = [datum for part in again for datum in part.to_pylist()]
    try:
        found = _values(record, table)
    except ValueError:
        return [None] * len(data)
    return [
        value if datum == same else None
        for value, datum, same in zip(found, data, written, strict=True)
    ]


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
        ValueError: A value is none of its type, or a metric stands twice in a row.
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
        return MetricTable.of(column).rows()
    plain: list[Any] = column.to_pylist()
    if kind in PLAIN:
        return plain
    if pa.types.is_map(column.type):
        return [dict(pairs) for pairs in plain]
    converted: list[Any] = msgspec.convert(plain, list[kind])
    return converted


@cache
def _kinds(record: type) -> dict[str, Any]:
    hints = get_type_hints(record)
    return {field.name: hints[field.name] for field in fields(record)}
