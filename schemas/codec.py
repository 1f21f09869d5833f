"""Records to bytes and back: Avro in Confluent framing, JSON on the topics for people."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import fastavro
import fastavro.read
import msgspec
import numpy as np

from schemas import avsc
from schemas.catalog import KINDS
from schemas.columns import Ints
from schemas.datum import writer
from schemas.errors import Reason, Undecodable
from schemas.jsontext import jsontext
from schemas.metrictable import MetricRow
from schemas.partial import Partial
from schemas.partialdatum import quick
from schemas.registry import Registry
from schemas.topics import CATALOG, TOPICS, Topic
from schemas.windowrows import RECORDS, tables, windows

T = TypeVar("T")

KNOWN: set[type] = set()
FRAME = struct.Struct(">bI")  # magic byte 0, id of the writer's schema
BROKEN: Mapping[type[Exception], str] = {
    EOFError: "the datum ends too early",
    IndexError: "the datum ends too early, or chooses what its schema has not",
    UnicodeDecodeError: "text is not UTF-8",
}


class Codec:
    """What is on every topic, as bytes and as dataclasses.

    Equal values give equal bytes: maps are written in the order of their keys.

    >>> from schemas.command import Command, CommandKind
    >>> from schemas.registry import LocalRegistry
    >>> from schemas.topics import COMMANDS
    >>> codec = Codec(LocalRegistry())
    >>> stop = Command(id="1", kind=CommandKind.STOP, scope="*", at=0, by="ada")
    >>> codec.decode(COMMANDS, codec.encode(COMMANDS, stop)) == stop
    True
    """

    def __init__(self, registry: Registry) -> None:
        of_topics = (record for topic in TOPICS.values() for record in avsc.records(topic))
        make_known(*KINDS.values(), *of_topics)
        self.registry = registry

    def encode(self, topic: Topic, value: Any) -> bytes:  # any record
        """The bytes of *value* on *topic*.

        Raises:
            ValueError: The topic holds no such record, or JSON no such number.
            Incompatible: The registry refuses the record's schema.
            RegistryUnavailable: It could not be asked.
        """
        record: type = type(value)
        if record not in avsc.records(topic):
            raise ValueError(f"{topic.name} holds {names(topic)}, not {record.__name__}")
        if topic.wire == "json":
            return jsontext(value)
        return FRAME.pack(0, self.registry.id_of(topic, record)) + writer(record)(value)

    def decode(self, topic: Topic, data: bytes, key: str | bytes | None = None) -> Any:
        """The record that *data* is on *topic*; Avro if it begins with a zero byte, else JSON.

        Args:
            topic: The topic it was on.
            data: The message's value.
            key: The message's key; the catalog needs it, as `kind/id`.

        Returns:
            A dataclass of the contract.

        Raises:
            Undecodable: It is none, and never will be.
            RegistryUnavailable: The writer's schema is not known and could not be asked for.
        """
        if not data:
            raise Undecodable(Reason.NULL_VALUE, "the message has no value")
        if data[:1] == b"\0":
            return self._from_avro(topic, data)
        return self._from_json(usual(topic, key), data)

    def decode_all(
        self, topic: Topic, values: Sequence[bytes], keys: Sequence[str | bytes | None]
    ) -> list[Any]:
        """What `decode` returns for each of *values*, or the Undecodable that it raises.

        Windows, whose histograms make them long, are read many at once; their metrics are made
        when they are asked for.

        Raises:
            RegistryUnavailable: A writer's schema is not known and could not be asked for.
        """
        found = self._windows(topic, values)
        for i, (value, key) in enumerate(zip(values, keys, strict=True)):
            if found[i] is None:
                try:
                    found[i] = self.decode(topic, value, key)
                except Undecodable as error:
                    found[i] = error
        return found

    def tables(self, topic: Topic, values: Sequence[bytes]) -> list[tuple[Ints, Any]]:
        """The windows among *values* that can be read many at once.

        Returns:
            Which of *values* they are, and an Arrow RecordBatch of as many rows; some of both.

        Raises:
            RegistryUnavailable: A writer's schema is not known and could not be asked for.
        """
        found: list[tuple[Ints, Any]] = []
        if topic.record not in RECORDS:
            return found
        framed: dict[bytes, list[int]] = {}
        for i, value in enumerate(values):
            if value[:1] == b"\0" and len(value) > FRAME.size:
                framed.setdefault(value[: FRAME.size], []).append(i)
        for frame, at in framed.items():
            with suppress(Undecodable):
                if same(self.registry.schema(schema_id(frame)), topic.record):
                    data = [values[i][FRAME.size :] for i in at]
                    places = np.array(at, np.int64)
                    found += [(places[some], each) for some, each in tables(topic.record, data)]
        return found

    def _windows(self, topic: Topic, values: Sequence[bytes]) -> list[Any | None]:
        """The windows among *values* that can be read many at once."""
        found: list[Any | None] = [None] * len(values)
        if topic.record is None:
            return found
        for at, table in self.tables(topic, values):
            with suppress(ValueError):
                read_ = windows(topic.record, table)
                for i, window in zip(at.tolist(), read_, strict=True):
                    found[i] = window
        return found

    def _from_avro(self, topic: Topic, data: bytes) -> Any:
        written = self.registry.schema(schema_id(data))
        record = next((r for r in avsc.records(topic) if written.name == avsc.full_name(r)), None)
        if record is None:
            detail = f"schema {written.id} is {written.name or 'no record'}, not {names(topic)}"
            raise Undecodable(Reason.FOREIGN_SCHEMA, detail)
        if record is Partial and same(written, record):
            found = quick(data, FRAME.size)
            if found is not None:
                return found
        plain = read(written, record, data, FRAME.size)
        try:
            return msgspec.convert(plain, record)
        except msgspec.ValidationError as error:
            raise Undecodable(Reason.WRONG_SHAPE, str(error)) from error

    @staticmethod
    def _from_json(record: type[T], data: bytes) -> T:
        try:
            value = msgspec.json.decode(data, type=record)
        except msgspec.ValidationError as error:
            raise Undecodable(Reason.WRONG_SHAPE, str(error)) from error
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Undecodable(Reason.BROKEN_JSON, str(error)) from error
        _fits(msgspec.to_builtins(value))
        return value


def _fits(plain: Any) -> None:
    """Refuse what JSON can say and Avro cannot: it would fail whoever passes it on."""
    if isinstance(plain, Mapping):
        for each in plain.values():
            _fits(each)
    elif isinstance(plain, list | tuple):
        for each in plain:
            _fits(each)
    elif isinstance(plain, int) and not -(1 << 63) <= plain < 1 << 63:
        raise Undecodable(Reason.OUT_OF_RANGE, f"{plain} does not fit 64 bits")


def make_known(*types: type) -> None:
    """Let msgspec look at *types* before there are threads that use them.

    It does so at a type's first use, and shows other threads what is half done meanwhile: a second
    one that uses the type then ends the process with a segmentation fault.
    """
    for each in types:
        if each not in KNOWN:
            msgspec.msgpack.Decoder(each)
            KNOWN.add(each)


def schema_id(data: bytes) -> int:
    """The id in the frame of *data*, which begins with a zero byte.

    Raises:
        Undecodable: BROKEN_AVRO, it is shorter than a frame.
    """
    if len(data) < FRAME.size:
        raise Undecodable(Reason.BROKEN_AVRO, f"{len(data)} bytes are shorter than a frame")
    id_: int = FRAME.unpack_from(data)[1]
    return id_


def read(written: avsc.Written, record: type, data: bytes, start: int) -> dict[str, Any]:
    """The Avro datum of *record* in `data[start:]` as plain values, all of it and no more.

    Args:
        written: The schema that it was written with.
        record: The record that is wanted; the schemas are resolved.
        data: The bytes.
        start: Where the datum begins.

    Raises:
        Undecodable: BROKEN_AVRO, or FOREIGN_SCHEMA when the schemas cannot be resolved.
    """
    wanted = None if same(written, record) else avsc.schema(record)
    source = io.BytesIO(data)
    source.seek(start)
    try:
        plain: dict[str, Any] = fastavro.schemaless_reader(source, written.parsed, wanted)
    except fastavro.read.SchemaResolutionError as error:
        raise Undecodable(Reason.FOREIGN_SCHEMA, f"schema {written.id}: {error}") from error
    except Exception as error:
        # Broken bytes surface as EOFError, IndexError, UnicodeDecodeError, MemoryError and more;
        # their own words hold addresses, and details must be the same each time.
        detail = BROKEN.get(type(error), f"it cannot be read ({type(error).__name__})")
        raise Undecodable(Reason.BROKEN_AVRO, detail) from error
    if source.tell() != len(data):
        detail = f"{len(data) - source.tell()} bytes are left over"
        raise Undecodable(Reason.BROKEN_AVRO, detail)
    return plain


@cache
def same(written: avsc.Written, record: type) -> bool:
    """Whether *written* gives the bytes that the contract's own schema of *record* gives."""
    return written.canonical == avsc.ours(record)


def usual(topic: Topic, key: str | bytes | None) -> type:
    """The record that plain JSON on *topic* is.

    Raises:
        Undecodable: WRONG_SHAPE, the catalog's key names no kind.
        ValueError: The topic holds no records.
    """
    if topic.name == CATALOG.name:
        text = key.decode(errors="replace") if isinstance(key, bytes) else key or ""
        kind = text.partition("/")[0]
        if kind not in KINDS:
            detail = f"the key {text!r} is not kind/id with a kind of {', '.join(KINDS)}"
            raise Undecodable(Reason.WRONG_SHAPE, detail)
        return KINDS[kind]
    if topic.record is None:
        raise ValueError(f"{topic.name} holds original bytes, not records")
    return topic.record


def names(topic: Topic) -> str:
    """The records of *topic*, for a sentence."""
    return " or ".join(record.__name__ for record in avsc.records(topic)) or "original bytes"


def pack(entry: Any) -> bytes:
    """A changelog's payload: MessagePack, maps in the order of their keys.

    Values are first made what their fields declare: a float that is held as an int would else be
    written in other bytes once it was read back.

    >>> unpack(tuple[int, float], pack((1, float("inf"))))
    (1, inf)
    """
    if is_dataclass(entry) and all(map(_exact, _values(entry))):
        return msgspec.msgpack.encode(entry)
    declared = msgspec.convert(_plain(entry), type(entry), str_keys=True)
    return msgspec.msgpack.encode(_plain(declared))


def _values(entry: Any) -> list[Any]:
    return [getattr(entry, field.name) for field in fields(entry)]


def _exact(value: Any) -> bool:
    """Whether it is nothing, or a record of which nothing is a float, a map or of several types."""
    kind: Any = type(value)
    return value is None or (is_dataclass(value) and _says_itself(kind))


@cache
def _says_itself(kind: Any) -> bool:
    """Whether values of a type, or of what it declares, are written in one way alone.

    >>> from schemas.floor import Floor
    >>> _says_itself(Floor), _says_itself(tuple[float, ...]), _says_itself(dict)
    (True, False, False)
    """
    if is_dataclass(kind):
        return all(map(_says_itself, get_type_hints(kind).values()))
    if get_origin(kind) is tuple:
        return all(_says_itself(each) for each in get_args(kind) if each is not Ellipsis)
    return kind in (int, str, bytes, type(None))


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(
        value, builtin_types=(bytes,), str_keys=True, order="deterministic", enc_hook=_dict
    )


def _dict(value: Any) -> dict[str, Any]:
    """The mapping that msgspec does not know: metrics of a window that were read with others."""
    if isinstance(value, MetricRow):
        return dict(value)
    raise NotImplementedError(f"A changelog holds no {type(value).__name__}.")


def unpack(kind: type[T], payload: bytes) -> T:
    """What `pack` made of a *kind*.

    Raises:
        Undecodable: WRONG_SHAPE, it was made of something else.
    """
    try:
        return msgspec.convert(msgspec.msgpack.decode(payload), kind, str_keys=True)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Undecodable(Reason.WRONG_SHAPE, str(error)) from error
