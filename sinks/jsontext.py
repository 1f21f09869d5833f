"""Arrow columns as JSON, a text for each row: what msgspec would say of the same values."""

from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sinks.rows import json


def texts(column: Any) -> Any:  # Arrow array -> StringArray
    """The JSON of each row of *column*, null where the row is.

    Args:
        column: Strings, numbers, or records, lists and maps of them, and no slice.
    """
    kind = column.type
    if pa.types.is_struct(kind):
        found = _records(column)
    elif pa.types.is_map(kind):
        pairs = pc.binary_join_element_wise(_inner(column.keys), _inner(column.items), ":")
        found = _joined("{", column, pairs, "}")
    elif pa.types.is_list(kind):
        found = _joined("[", column, _inner(column.values), "]")
    else:
        return _spelled(column)
    return pc.if_else(column.is_valid(), found, None) if column.null_count else found


def _inner(column: Any) -> Any:
    return pc.fill_null(texts(column), "null")


def _records(column: Any) -> Any:
    parts: list[Any] = []
    for i, field in enumerate(column.type):
        parts += [f'{"," if i else "{"}"{field.name}":', _inner(column.field(i))]
    return pc.binary_join_element_wise(*parts, "}", "")


def _joined(opening: str, column: Any, parts: Any, closing: str) -> Any:
    lists = pa.ListArray.from_arrays(column.offsets, parts)
    return pc.binary_join_element_wise(opening, pc.binary_join(lists, ","), closing, "")


def _spelled(column: Any) -> Any:
    """Each distinct value is spelled once."""
    coded = column.dictionary_encode()
    few = coded.dictionary.to_pylist()
    if pa.types.is_string(column.type):
        spelled = [json(each) for each in few]
    else:
        spelled = msgspec.json.encode(few).decode()[1:-1].split(",")
    return pa.array(spelled if few else [], pa.string()).take(coded.indices)
