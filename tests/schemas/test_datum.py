"""Avro data that C writes is what Python writes, and what neither can write fails alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import native
from schemas import avsc
from schemas.catalog import KINDS
from schemas.datum import plainly, plan, writer
from schemas.floor import Floor
from schemas.partial import Partial
from schemas.topics import TOPICS
from schemas.window import MetricSummary, WindowAggregate

RECORDS = sorted(
    {
        *KINDS.values(),
        *(record for topic in TOPICS.values() for record in avsc.records(topic)),
    },
    key=lambda record: record.__name__,
)
LONG = st.integers(-(1 << 63), (1 << 63) - 1)


def values(kind: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that an Avro type has room for."""
    plain: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "int": LONG,
        "long": LONG,
        "double": st.floats() | st.integers(-5, 5),
        "string": st.text(max_size=80),
        "bytes": st.binary(max_size=80),
    }
    match kind:
        case ["null", some]:
            return st.none() | values(some, named)
        case {"type": "array", "items": items}:
            return st.lists(values(items, named), max_size=3).map(tuple)
        case {"type": "map", "values": each}:
            return st.dictionaries(st.text(max_size=9), values(each, named), max_size=3)
        case {"type": "record", "name": name, "fields": parts}:
            named[name] = st.deferred(lambda: found)
            each = {part["name"]: values(part["type"], named) for part in parts}
            found = st.fixed_dictionaries(each).map(lambda given: SimpleNamespace(**given))
            return found
        case _:
            return plain[kind] if kind in plain else named[kind]


@pytest.fixture(autouse=True)
def built() -> None:
    assert native.core is not None, "it was not built: is there a compiler?"


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
@given(data=st.data())
def test_all_that_a_schema_has_room_for_is_written_the_same(
    record: type, data: st.DataObject
) -> None:
    value = data.draw(values(avsc.schema(record), {}))

    assert plainly(record)(value) == native.core.datum(plan(record), value)  # type: ignore[union-attr]


def test_names_that_were_written_before_are_written_the_same() -> None:
    bare = {field.name: b"" for field in fields(Partial)} | {
        "source": 0,
        "sources": 1,
        "idle": False,
    }
    bare |= {"watermark": None, "floor": None, "error_types": (), "cell_bytes": 8, "count_bytes": 8}
    keys = (("a", "b"), ("a", ""), ("ä" * 99, "b"))

    for each in (keys, keys[::-1], [list(key) for key in keys], keys):
        value = SimpleNamespace(**bare | {"keys": each})
        assert plainly(Partial)(value) == writer(Partial)(value)


@pytest.mark.parametrize("source", [1 << 63, -(1 << 63) - 1, "1", None, 1.0])
def test_what_is_no_long_fails(source: Any) -> None:
    for write in (plainly(Floor), writer(Floor)):
        with pytest.raises((OverflowError, TypeError)):
            write(Floor(task=source, before=0))


@pytest.mark.parametrize(
    ("field", "value"),
    [("service", 1), ("service", "\ud800"), ("requests", "1"), ("metrics", 1), ("unpriced", 7)],
)
def test_what_is_of_another_type_fails(field: str, value: Any) -> None:
    row: dict[str, Any] = {each.name: 0 for each in fields(WindowAggregate)}
    names = ("service", "endpoint", "model", "provider", "config_version", "cohort", "window")
    texts = dict.fromkeys(names, "")
    some = {"errors_by_type": {}, "error_units": (), "metrics": {}, "unpriced": ()}
    given = SimpleNamespace(**(row | texts | some | {field: value}))
    for write in (plainly(WindowAggregate), writer(WindowAggregate)):
        with pytest.raises((TypeError, AttributeError, UnicodeEncodeError)):
            write(given)


def test_a_field_that_is_not_there_fails() -> None:
    for write in (plainly(Partial), writer(Partial)):
        with pytest.raises(AttributeError):
            write(object())


def test_a_type_without_a_writer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def schema(_: type) -> Mapping[str, Any]:
        return {"type": "record", "name": "R", "fields": [{"name": "a", "type": "float"}]}

    monkeypatch.setattr(avsc, "schema", schema)
    with pytest.raises(ValueError, match="Nothing writes 'float'"):
        plan(MetricSummary)
