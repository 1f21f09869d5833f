# ruff: noqa: PLR0911  # a walk over types that may be any
"""The .avsc files and the dataclasses say the same."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Iterator, Mapping
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from avro.schema import parse

from schemas import avsc

FILES = sorted((Path(avsc.__file__).parent / "avro").glob("*.avsc"))
RECORDS = {record.__name__: record for record in avsc.subjects().values()}
PLAIN = {str: "string", int: "long", float: "double", bool: "boolean", bytes: "bytes"}


def spelled(annotation: Any, seen: dict[str, type]) -> Any:
    """The Avro type of a Python type; dataclasses are left in *seen* by their name."""
    if annotation in PLAIN:
        return PLAIN[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        (inner,) = (a for a in arguments if a is not types.NoneType)
        return ["null", spelled(inner, seen)]
    if origin is typing.Literal:
        return "string"
    if origin is tuple:
        return {"type": "array", "items": spelled(arguments[0], seen)}
    if origin is Mapping:
        return {"type": "map", "values": spelled(arguments[1], seen)}
    if issubclass(annotation, StrEnum | IntEnum):
        return "string" if issubclass(annotation, StrEnum) else "int"
    seen[annotation.__name__] = annotation
    return f"llmopt.{annotation.__name__}"


def flattened(schema: Any) -> Any:
    """The type with a record spelled by its full name."""
    if isinstance(schema, list):
        return [flattened(s) for s in schema]
    if isinstance(schema, dict) and schema["type"] == "record":
        return f"{schema['namespace']}.{schema['name']}"
    if isinstance(schema, dict):
        return {k: v if k == "type" else flattened(v) for k, v in schema.items()}
    return schema


def records(schema: Any) -> Iterator[dict[str, Any]]:
    """Every record that is defined in a schema, itself first."""
    if isinstance(schema, list):
        for s in schema:
            yield from records(s)
    elif isinstance(schema, dict):
        if schema.get("type") == "record":
            yield schema
            for f in schema["fields"]:
                yield from records(f["type"])
        else:
            yield from records(schema.get("items", schema.get("values")))


def default(field: dataclasses.Field[Any]) -> Any:
    """The default of a dataclass field in JSON, `...` for none."""
    value = field.default
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    if value is dataclasses.MISSING:
        return ...
    if isinstance(value, bytes):
        return value.decode("latin-1")
    plain = dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
    return json.loads(json.dumps(plain))


def test_every_record_on_a_topic_has_its_file() -> None:
    assert sorted(RECORDS) == [path.stem for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_file_says_what_its_dataclass_says(path: Path) -> None:
    seen: dict[str, type] = {path.stem: RECORDS[path.stem]}
    for record in records(json.loads(path.read_text("utf-8"))):
        cls = seen[record["name"]]
        hints = typing.get_type_hints(cls)
        fields = dataclasses.fields(cls)

        assert "llmopt" == record["namespace"]
        assert [f.name for f in fields] == [f["name"] for f in record["fields"]]
        for field, wire in zip(fields, record["fields"], strict=True):
            assert spelled(hints[field.name], seen) == flattened(wire["type"]), field.name
            assert default(field) == wire.get("default", ...), field.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_record_and_field_is_explained(path: Path) -> None:
    for record in records(json.loads(path.read_text("utf-8"))):
        assert len(record["doc"]) > 10
        for field in record["fields"]:
            assert len(field["doc"]) > 5, field["name"]
            assert field["doc"].endswith("."), field["name"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_registrys_parser_reads_every_file(path: Path) -> None:
    assert path.stem == parse(path.read_text("utf-8")).name


def test_subjects_follow_the_topics_name_and_then_the_records() -> None:
    subjects = list(avsc.subjects())

    assert ["llmopt.metrics.v1-value", "llmopt.metrics.v1-llmopt.MetricBatch"] == subjects[:2]
    assert "llmopt.catalog.v1-llmopt.Rule" in subjects
    assert "llmopt.config.v1-value" in subjects
    assert not [s for s in subjects if ".dlq" in s or "late" in s]


def test_what_is_no_schema_is_refused() -> None:
    for text in ("{", "[1]", '{"type":"record"}', '"nothing"', '{"type":"array"}', "[" * 10_000):
        with pytest.raises(ValueError, match="not an Avro schema"):
            avsc.parse(text)
