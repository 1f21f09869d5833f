"""The Avro schemas of the contract, as they lie in `schemas/avro/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import fastavro
import fastavro.schema

from schemas.catalog import KINDS
from schemas.topics import CATALOG, TOPICS, Topic


@dataclass(frozen=True, slots=True)
class Written:
    """A schema that some record was written with."""

    id: int  # in the registry
    name: str  # full name of the record, "" for a schema that is no record
    text: str = field(repr=False)  # JSON
    parsed: Any = field(repr=False, compare=False)  # as fastavro wants it
    canonical: str = field(repr=False)  # equal for schemas with the same bytes and names

    @classmethod
    def of(cls, id_: int, text: str) -> Written:
        """The schema *text* under the id *id_*.

        Raises:
            ValueError: It is no Avro schema.
        """
        parsed = parse(text)
        name = parsed.get("name", "") if isinstance(parsed, dict) else ""
        return cls(id_, name, text, parsed, canonical(text))


def parse(text: str) -> Any:  # fastavro's schemas are untyped
    """The schema as fastavro wants it.

    Raises:
        ValueError: It is no Avro schema.
    """
    try:
        return fastavro.parse_schema(json.loads(text), named_schemas={})
    except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType) as error:
        raise ValueError(f"not an Avro schema: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"not an Avro schema: {error!r}") from error


def canonical(text: str) -> str:
    """The parsing canonical form (Avro 1.12 specification): no docs, no defaults, no order."""
    form: str = fastavro.schema.to_parsing_canonical_form(json.loads(text))
    return form


@cache
def text(record: type) -> str:
    """The schema of *record* as it is registered: its file without insignificant space."""
    path = files("schemas") / "avro" / f"{record.__name__}.avsc"
    return json.dumps(
        json.loads(path.read_text("utf-8")), ensure_ascii=False, separators=(",", ":")
    )


@cache
def schema(record: type) -> Any:  # fastavro's schemas are untyped
    """The schema of *record* as fastavro wants it."""
    return parse(text(record))


@cache
def ours(record: type) -> str:
    """The canonical form of the schema of *record*."""
    return canonical(text(record))


def full_name(record: type) -> str:
    """The Avro name of *record*.

    >>> from schemas.metric import MetricEvent
    >>> full_name(MetricEvent)
    'llmopt.MetricEvent'
    """
    return f"llmopt.{record.__name__}"


def records(topic: Topic) -> tuple[type, ...]:
    """The records that *topic* may hold, the usual one first; none where bytes stay as they are."""
    if topic.name == CATALOG.name:
        return tuple(KINDS.values())
    return () if topic.record is None else (topic.record, *topic.beside)


def subject(topic: Topic, record: type) -> str:
    """The registry's subject of *record* on *topic*.

    TopicNameStrategy for the usual record of a topic, TopicRecordNameStrategy for further ones.
    """
    if record is topic.record:
        return f"{topic.name}-value"
    return f"{topic.name}-{full_name(record)}"


def subjects() -> Mapping[str, type]:
    """Every subject there is, in the order of the topics."""
    return {subject(t, record): record for t in TOPICS.values() for record in records(t)}
