# ruff: noqa: PLR0911  # a walk over types that may be any
"""Records survive the wire, and broken bytes are named."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import types
import typing
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import avsc
from schemas.anomaly import Anomaly, Severity
from schemas.batch import MetricBatch
from schemas.catalog import Condition, Constraints, Model, PriceEntry, Rule
from schemas.codec import Codec, pack, unpack
from schemas.command import Command, CommandKind
from schemas.config import ConfigAck
from schemas.datum import writer
from schemas.errors import Reason, RegistryUnavailable, Undecodable
from schemas.floor import Floor
from schemas.journal import ChangelogEntry, JournalRecord, Position, Range
from schemas.metric import MetricEvent
from schemas.registry import LocalRegistry
from schemas.topics import (
    ANOMALIES,
    CATALOG,
    COMMANDS,
    CONFIG_ACK,
    FLOORS,
    LATE,
    METRICS,
    TOPICS,
    Topic,
    changelog,
)

HELD = [(t, record) for t in TOPICS.values() for record in avsc.records(t)]
KEYS = {"PriceEntry": "price/x", "WindowPolicy": "window/x"}
REGISTRY = LocalRegistry()
CODEC = Codec(REGISTRY)
ANOMALY = Anomaly(
    id="search/answer|quality|0",
    scope="search/answer",
    metric="quality",
    window="1m",
    start=0,
    end=60_000,
    revision=1,
    is_anomaly=True,
    severity=Severity.HIGH,
    confidence=0.9,
    actual=math.inf,
    expected=80.0,
    expected_low=75.0,
    expected_high=85.0,
    deviation=-4.5,
    detector="robust_z",
    samples=60,
)
STOP = Command(id="1", kind=CommandKind.STOP, scope="*", at=0, by="ada", reason="größer")


def some(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a type of the contract, a few levels deep."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([st.none() if a is types.NoneType else some(a) for a in arguments])
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(some(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(some, arguments))
    if origin is Mapping:
        return st.dictionaries(some(arguments[0]), some(arguments[1]), max_size=2)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return st.sampled_from(annotation)
    if annotation is Condition:
        leaf = st.just(Condition(op="<", value=1.5, all_of=(Condition(), Condition(held_s=3))))
        return leaf | st.just(Condition())
    if dataclasses.is_dataclass(annotation):
        hints = typing.get_type_hints(annotation)
        return st.builds(annotation, **{f: some(t) for f, t in hints.items()})  # type: ignore[arg-type]
    plain = {
        str: st.text(max_size=9),
        int: st.integers(-(2**63), 2**63 - 1),
        float: st.floats(allow_nan=False, allow_infinity=False),
        bool: st.booleans(),
        bytes: st.binary(max_size=9),
    }
    return plain[annotation]


def key(record: type) -> str:
    return KEYS.get(record.__name__, f"{record.__name__.lower()}/x")


def framed(schema: str, datum: dict[str, Any]) -> bytes:
    """A datum as a writer with another schema would send it."""
    id_ = REGISTRY.register(schema)
    out = io.BytesIO(b"\0" + id_.to_bytes(4, "big"))
    out.seek(5)
    fastavro.schemaless_writer(out, avsc.parse(schema), datum)
    return out.getvalue()


def by_fastavro(value: Any) -> bytes:
    """The datum as the library writes it, maps in the order of their keys."""
    out = io.BytesIO()
    plain = msgspec.to_builtins(value, builtin_types=(bytes,), order="deterministic")
    record: type = type(value)
    fastavro.schemaless_writer(out, avsc.schema(record), plain)
    return out.getvalue()


def reason(topic: Topic, data: bytes, key: str | None = None) -> Reason:
    with pytest.raises(Undecodable) as caught:
        CODEC.decode(topic, data, key)
    return caught.value.reason


@pytest.mark.parametrize(("topic", "record"), HELD, ids=[f"{t.name}-{r.__name__}" for t, r in HELD])
def test_every_record_comes_back_as_it_was(topic: Topic, record: type) -> None:
    @given(some(record))
    @settings(
        max_examples=15,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def survives(value: Any) -> None:
        assert value == CODEC.decode(topic, CODEC.encode(topic, value), key(record))

    survives()


@pytest.mark.parametrize("record", sorted({r for _, r in HELD}, key=str), ids=lambda r: r.__name__)
def test_every_record_is_written_as_fastavro_writes_it(record: type) -> None:
    @given(some(record))
    @settings(
        max_examples=15,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    def same(value: Any) -> None:
        assert by_fastavro(value) == writer(record)(value)

    same()


def test_numbers_of_every_length_are_written_as_fastavro_writes_them() -> None:
    around = (
        sign * (1 << bits) + more for bits in range(63) for sign in (1, -1) for more in (-1, 0, 1)
    )
    numbers = (*around, -(1 << 63), (1 << 63) - 1)
    line = JournalRecord(
        stage="s", partition=-1, sequence=numbers[0], epoch=numbers[-1], now=0, seed=0,
        ranges=tuple(Range(topic="t", partition=0, start=n, end=-1 - n) for n in numbers),
        catalog=0, policy="", watermark=None, counts={}, outputs=0, checksum=0, digests=b"",
    )  # fmt: skip

    assert by_fastavro(line) == writer(JournalRecord)(line)


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 100])
def test_a_number_beyond_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(OverflowError, match=f"{number} does not fit 64 bits"):
        CODEC.encode(FLOORS, Floor(task=number, before=0))


def test_infinities_survive_avro_and_changelogs() -> None:
    again = CODEC.decode(ANOMALIES, CODEC.encode(ANOMALIES, ANOMALY))

    assert math.inf == again.actual
    assert ANOMALY == unpack(Anomaly, pack(ANOMALY))
    assert math.isnan(unpack(float, pack(math.nan)))


def test_json_has_no_infinity() -> None:
    with pytest.raises(ValueError, match="JSON"):
        CODEC.encode(CATALOG, Constraints(daily_budget_usd=math.inf))


def test_bytes_do_not_depend_on_the_order_of_a_map() -> None:
    one = MetricEvent(**EVENT | {"tags": {"a": "1", "b": "2"}})
    two = MetricEvent(**EVENT | {"tags": {"b": "2", "a": "1"}})
    position = Position(sequence=1, epoch=1, ends={"b": 1, "a": 2}, tail={}, watermark=None)
    turned = dataclasses.replace(position, ends={"a": 2, "b": 1})

    assert CODEC.encode(METRICS, one) == CODEC.encode(METRICS, two)
    assert pack(position) == pack(turned)


def test_control_topics_are_json_that_people_can_read() -> None:
    data = json.loads(CODEC.encode(COMMANDS, STOP))

    assert ("stop", "*", "größer") == (data["kind"], data["scope"], data["reason"])


def test_control_topics_take_avro_as_well() -> None:
    ack = ConfigAck(app="a", scope="s/e", revision=3, epoch=1, applied_at=5, updated_at=4)
    data = framed(avsc.text(ConfigAck), dataclasses.asdict(ack))

    assert ack == CODEC.decode(CONFIG_ACK, data)


def test_people_may_leave_out_defaults_and_add_fields() -> None:
    text = b' {"id":"1", "kind":"stop","scope":"*","at":0,"by":"ada","reason":"gr\\u00f6\\u00dfer",'
    text += b'"x":[1]}\n'

    assert STOP == CODEC.decode(COMMANDS, text)


def test_the_key_says_what_kind_of_entry_the_catalog_has() -> None:
    rule = Rule(id="r", name="R", when=Condition(all_of=(Condition(op="<", value=1.0),)))
    price = PriceEntry(provider="p", model="m", input_per_mtok=1.0, output_per_mtok=2.0)

    assert rule == CODEC.decode(CATALOG, CODEC.encode(CATALOG, rule), "rule/r")
    assert price == CODEC.decode(CATALOG, CODEC.encode(CATALOG, price), b"price/p/m")
    assert Reason.WRONG_SHAPE == reason(CATALOG, b"{}", "rules/r")
    assert Reason.WRONG_SHAPE == reason(CATALOG, b"{}", None)


def test_a_writer_with_an_older_schema_is_read_with_defaults() -> None:
    schema = json.loads(avsc.text(Model))
    schema["fields"] = [f for f in schema["fields"] if f["name"] in ("provider", "model")]

    data = framed(json.dumps(schema), {"provider": "p", "model": "m"})

    assert Model(provider="p", model="m") == CODEC.decode(CATALOG, data, "model/p/m")


def test_a_writer_with_a_newer_schema_is_read_without_its_new_field() -> None:
    schema = json.loads(avsc.text(ChangelogEntry))
    schema["fields"].insert(1, {"name": "origin", "type": "string"})

    data = framed(
        json.dumps(schema), {"kind": "k", "origin": "new", "version": 2, "payload": b"\xff"}
    )

    entry = CODEC.decode(changelog("merge"), data)

    assert ChangelogEntry(kind="k", version=2, payload=b"\xff") == entry


def test_metrics_may_be_events_or_batches_but_nothing_else() -> None:
    with pytest.raises(
        ValueError, match=r"llmopt.metrics.v1 holds MetricEvent or MetricBatch, not"
    ):
        CODEC.encode(METRICS, STOP)
    with pytest.raises(ValueError, match="original bytes"):
        CODEC.encode(LATE, STOP)
    with pytest.raises(ValueError, match="original bytes"):
        CODEC.decode(LATE, b"{}")


EVENT: dict[str, Any] = {
    "timestamp": 1,
    "service": "s",
    "endpoint": "e",
    "model": "m",
    "provider": "p",
    "latency_ms": 1.5,
    "tokens_input": 1,
    "tokens_output": 2,
}
AVRO = CODEC.encode(METRICS, MetricEvent(**EVENT))
FOREIGN = CODEC.encode(ANOMALIES, ANOMALY)
CLASHING = json.dumps(
    {
        "type": "record",
        "name": "MetricEvent",
        "namespace": "llmopt",
        "fields": [{"name": "timestamp", "type": "string"}],
    }
)


@pytest.mark.parametrize(
    ("why", "data"),
    [
        (Reason.BROKEN_AVRO, AVRO[:3]),
        (Reason.BROKEN_AVRO, AVRO[:-1]),
        (Reason.BROKEN_AVRO, AVRO[:5]),
        (Reason.BROKEN_AVRO, AVRO + b"\0"),
        (Reason.BROKEN_AVRO, AVRO.replace(b"\x02s", b"\x02\xff")),
        (Reason.UNKNOWN_SCHEMA, b"\0\xff\xff\xff\xff" + AVRO[5:]),
        (Reason.FOREIGN_SCHEMA, FOREIGN),
        (Reason.FOREIGN_SCHEMA, framed('"string"', "x")),  # type: ignore[arg-type]
        (Reason.FOREIGN_SCHEMA, framed(CLASHING, {"timestamp": "x"})),
        (Reason.NULL_VALUE, b""),
        (Reason.BROKEN_JSON, b"{"),
        (Reason.BROKEN_JSON, b"\x01\x02"),
        (Reason.BROKEN_JSON, b'{"service": "\xff"}'),
        (Reason.BROKEN_JSON, b'{"x":' * 100_000),
        (Reason.BROKEN_JSON, b'{"latency_ms": NaN}'),
        (Reason.WRONG_SHAPE, b"{}"),
        (Reason.WRONG_SHAPE, b"[]"),
        (Reason.WRONG_SHAPE, json.dumps(EVENT | {"model": None}).encode()),
        (Reason.WRONG_SHAPE, json.dumps(EVENT | {"tokens_input": "many"}).encode()),
    ],
    ids=str,
)
def test_bytes_that_are_no_record_are_named(why: Reason, data: bytes) -> None:
    assert why == reason(METRICS, data)


def test_an_enumeration_with_an_unknown_word_has_the_wrong_shape() -> None:
    data = framed(avsc.text(Anomaly), dataclasses.asdict(ANOMALY) | {"severity": "awful"})

    assert Reason.WRONG_SHAPE == reason(ANOMALIES, data)


@given(st.sampled_from([AVRO, FOREIGN, b'{"a":[1,"x"]}']), st.data())
@settings(max_examples=300, database=None, derandomize=True)
def test_whatever_the_bytes_are_nothing_but_undecodable_is_raised(
    start: bytes, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(start)))
    mangled = start[:at] + data.draw(st.binary(max_size=6)) + start[at + 1 :]
    for topic in (METRICS, ANOMALIES, COMMANDS):
        with suppress(Undecodable):
            assert type(CODEC.decode(topic, mangled)) in avsc.records(topic)


def test_a_payload_of_another_type_is_named() -> None:
    for payload in (b"", b"\xc1", pack("text"), pack({"kind": 1})):
        with pytest.raises(Undecodable):
            unpack(Position, payload)


def test_a_silent_registry_is_not_the_messages_fault() -> None:
    class Silent(LocalRegistry):
        def schema(self, id_: int) -> avsc.Written:
            raise RegistryUnavailable(f"no answer about {id_}")

    with pytest.raises(RegistryUnavailable):
        Codec(Silent()).decode(METRICS, AVRO)


def test_a_batch_is_not_taken_for_an_event() -> None:
    assert MetricBatch in avsc.records(METRICS)
    assert Reason.FOREIGN_SCHEMA == reason(ANOMALIES, AVRO)


@dataclasses.dataclass(frozen=True)
class Held:
    total: float
    by_name: Mapping[str, float]


def test_an_int_that_stands_for_a_float_is_packed_as_what_is_read_back() -> None:
    held = Held(total=5, by_name={"b": 2, "a": 1})
    back = unpack(Held, pack(held))

    assert held == back
    assert pack(held) == pack(back)
