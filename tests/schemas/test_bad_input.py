"""Bad input is named, and leaves the good as it is."""

# fields of any type are compared

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from schemas.anomaly import Anomaly
from schemas.codec import Codec
from schemas.columns import Decoded, EventColumns
from schemas.decode import LARGEST, decode_events, decode_slowly
from schemas.errors import Reason
from schemas.metric import MetricEvent
from schemas.partial import METRICS as VALUES
from schemas.quality import QualityScore
from schemas.registry import LocalRegistry
from schemas.topics import ANOMALIES, METRICS, QUALITY, Topic

NOW = 1_760_000_000_000
WEEK = 7 * 86_400_000
REGISTRY = LocalRegistry()
CODEC = Codec(REGISTRY)
EVENT = MetricEvent(
    timestamp=NOW,
    service="search",
    endpoint="answer",
    model="m-1",
    provider="p",
    latency_ms=812.3456,
    tokens_input=1200,
    tokens_output=300,
)
SCORE = QualityScore(
    timestamp=NOW,
    service="search",
    endpoint="answer",
    model="m-1",
    provider="p",
    overall=87.6543,
    method="judge",
    request_id="r-1",
)


def decode(values: list[bytes | None], topic: Topic = METRICS) -> Decoded:
    return decode_events(REGISTRY, topic.name, values, NOW, WEEK)


def slowly(values: list[bytes | None], topic: Topic = METRICS) -> Decoded:
    return decode_slowly(REGISTRY, topic.name, values, NOW, WEEK)


def avro(record: Any) -> bytes:
    return CODEC.encode(METRICS if isinstance(record, MetricEvent) else QUALITY, record)


def plain(record: Any, **changes: Any) -> bytes:
    return json.dumps(dataclasses.asdict(record) | changes).encode()


def event(**changes: Any) -> MetricEvent:
    return dataclasses.replace(EVENT, **changes)


def score(**changes: Any) -> QualityScore:
    return dataclasses.replace(SCORE, **changes)


def column(events: EventColumns, metric: str) -> list[int]:
    found: list[int] = events.values[:, [name for name, _ in VALUES].index(metric)].tolist()
    return found


def assert_same(expected: Decoded, found: Decoded) -> None:
    assert expected.rejected == found.rejected
    assert len(expected.events) == len(found.events)
    for field in dataclasses.fields(EventColumns):
        one, two = getattr(expected.events, field.name), getattr(found.events, field.name)
        if isinstance(one, np.ndarray) and field.name not in ("key", "error_type"):
            np.testing.assert_array_equal(one, two, field.name)
            assert one.dtype == two.dtype, field.name
    for events_key, events_names in (("key", "keys"), ("error_type", "error_types")):
        named = [
            [(*getattr(d.events, events_names), None)[i] for i in getattr(d.events, events_key)]
            for d in (expected, found)
        ]
        assert named[0] == named[1]


AVRO = avro(EVENT)
LONG = "x" * 257
FOREIGN = b"\0" + REGISTRY.id_of(ANOMALIES, Anomaly).to_bytes(4, "big") + AVRO[5:]
TEXT = b"\0" + REGISTRY.register('"string"').to_bytes(4, "big") + b"\x02x"
BAD: list[tuple[Reason, bytes | None]] = [
    (Reason.NULL_VALUE, None),
    (Reason.NULL_VALUE, b""),
    (Reason.TOO_LARGE, b"{" + b" " * LARGEST),
    (Reason.TOO_LARGE, AVRO + bytes(LARGEST)),
    (Reason.UNKNOWN_SCHEMA, b"\0\xff\xff\xff\xff" + AVRO[5:]),
    (Reason.UNKNOWN_SCHEMA, b"\0\0\0\0\0" + AVRO[5:]),
    (Reason.FOREIGN_SCHEMA, FOREIGN),
    (Reason.FOREIGN_SCHEMA, TEXT),
    (Reason.FOREIGN_SCHEMA, avro(SCORE)),
    *((Reason.BROKEN_AVRO, AVRO[:i]) for i in range(1, len(AVRO))),
    (Reason.BROKEN_AVRO, AVRO + b"\0"),
    (Reason.BROKEN_AVRO, AVRO + AVRO),
    (Reason.BROKEN_AVRO, AVRO.replace(b"\x0csearch", b"\x0csear\xff\xfe")),
    (Reason.BROKEN_AVRO, AVRO.replace(b"\x0csearch", b"\x0bsearch")),
    (Reason.BROKEN_AVRO, AVRO.replace(b"\x0csearch", b"\xfe\xff\xff\xff\x0fsearch")),
    (Reason.BROKEN_AVRO, AVRO[:-1] + b"\x02"),
    (Reason.BROKEN_AVRO, AVRO[:-1] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    (Reason.BROKEN_JSON, b"{"),
    (Reason.BROKEN_JSON, b"garbage"),
    (Reason.BROKEN_JSON, b"\xff\xfe\xfd"),
    (Reason.BROKEN_JSON, b"   "),
    (Reason.BROKEN_JSON, b"[" + plain(EVENT)),
    (Reason.BROKEN_JSON, plain(EVENT) + plain(EVENT)),
    (Reason.BROKEN_JSON, plain(EVENT)[:-1] + b',"x":' + b"[" * 100_000),
    (Reason.BROKEN_JSON, plain(EVENT).replace(b'"search"', b'"\xff"')),
    (Reason.BROKEN_JSON, plain(EVENT).replace(b'"search"', b'"\\ud800"')),
    (Reason.BROKEN_JSON, plain(EVENT, latency_ms=math.nan)),
    (Reason.BROKEN_JSON, plain(EVENT, latency_ms=-math.inf)),
    (Reason.WRONG_SHAPE, b"[" * 100_000),
    (Reason.WRONG_SHAPE, b"{}"),
    (Reason.WRONG_SHAPE, b"1"),
    (Reason.WRONG_SHAPE, b"null"),
    (Reason.WRONG_SHAPE, plain(EVENT, model=None)),
    (Reason.WRONG_SHAPE, plain(EVENT, latency_ms="fast")),
    (Reason.WRONG_SHAPE, plain(EVENT, tokens_input=1.5)),
    (Reason.WRONG_SHAPE, plain(EVENT, tags={"a": 1})),
    (Reason.NOT_FINITE, avro(event(latency_ms=math.nan))),
    (Reason.NOT_FINITE, avro(event(cost_usd=math.inf))),
    (Reason.NOT_FINITE, avro(event(time_to_first_token_ms=-math.inf))),
    (Reason.NEGATIVE, avro(event(latency_ms=-0.001))),
    (Reason.NEGATIVE, avro(event(tokens_input=-1))),
    (Reason.NEGATIVE, avro(event(tokens_output=-(2**63)))),
    (Reason.NEGATIVE, avro(event(tokens_total=-1))),
    (Reason.NEGATIVE, avro(event(cached_tokens=-1))),
    (Reason.NEGATIVE, avro(event(cost_usd=-1e-12))),
    (Reason.NEGATIVE, avro(event(retry_count=-1))),
    (Reason.NEGATIVE, plain(EVENT, tokens_input=-(2**70))),
    (Reason.OUT_OF_RANGE, plain(EVENT, tokens_input=2**70)),
    (Reason.OUT_OF_RANGE, plain(EVENT).replace(b"812.3456", b"1e999")),
    (Reason.OUT_OF_RANGE, avro(event(latency_ms=3_600_000.1))),
    (Reason.OUT_OF_RANGE, avro(event(latency_ms=1.7e308))),
    (Reason.OUT_OF_RANGE, avro(event(time_to_first_token_ms=3_600_001.0))),
    (Reason.OUT_OF_RANGE, avro(event(tokens_input=10_000_001))),
    (Reason.OUT_OF_RANGE, avro(event(tokens_output=2**63 - 1))),
    (Reason.OUT_OF_RANGE, avro(event(tokens_total=10_000_001))),
    (Reason.OUT_OF_RANGE, avro(event(cached_tokens=10_000_001))),
    (Reason.OUT_OF_RANGE, avro(event(cost_usd=1000.01))),
    (Reason.OUT_OF_RANGE, avro(event(retry_count=1001))),
    (Reason.OUT_OF_RANGE, avro(event(status_code=99))),
    (Reason.OUT_OF_RANGE, avro(event(status_code=600))),
    (Reason.OUT_OF_RANGE, avro(event(status_code=-200))),
    *(
        (Reason.TOO_LONG, avro(event(**{name: LONG})))
        for name in ("service", "model", "cohort", "config_version", "request_id", "region")
    ),
    (Reason.TOO_LONG, avro(event(unit_id=LONG))),
    (Reason.TOO_LONG, avro(event(trace_id="ü" * 257))),
    (Reason.TOO_LONG, avro(event(error_type="x" * 129))),
    (Reason.TOO_LONG, avro(event(tags={LONG: "v"}))),
    (Reason.TOO_LONG, avro(event(tags={"k": LONG}))),
    (Reason.TOO_LONG, avro(event(tags={str(i): "v" for i in range(33)}))),
    *(
        (Reason.EMPTY_NAME, avro(event(**{name: ""})))
        for name in ("service", "endpoint", "model", "provider")
    ),
    *((Reason.RESERVED_NAME, avro(event(**{name: "*"}))) for name in ("service", "cohort")),
    (Reason.RESERVED_NAME, avro(event(endpoint="a|b"))),
    (Reason.RESERVED_NAME, avro(event(service="team/search"))),
    (Reason.TOO_OLD, avro(event(timestamp=NOW - WEEK - 1))),
    (Reason.TOO_OLD, avro(event(timestamp=0))),
    (Reason.TOO_OLD, avro(event(timestamp=-(2**63)))),
    (Reason.IN_THE_FUTURE, avro(event(timestamp=NOW + 300_001))),
    (Reason.IN_THE_FUTURE, avro(event(timestamp=2**63 - 1))),
]
BAD_SCORES = [
    (Reason.NOT_FINITE, avro(score(overall=math.nan))),
    (Reason.NOT_FINITE, avro(score(dimensions={"a": 1.0, "b": math.nan}))),
    (Reason.NEGATIVE, avro(score(overall=-0.1))),
    (Reason.NEGATIVE, avro(score(dimensions={"a": 50.0, "b": -1.0}))),
    (Reason.NEGATIVE, avro(score(confidence=-0.1))),
    (Reason.OUT_OF_RANGE, avro(score(overall=100.1))),
    (Reason.OUT_OF_RANGE, avro(score(dimensions={"a": 100.1}))),
    (Reason.OUT_OF_RANGE, avro(score(confidence=1.1))),
    (Reason.TOO_LONG, avro(score(method=LONG))),
    (Reason.TOO_LONG, avro(score(dimensions={LONG: 1.0}))),
    (Reason.TOO_LONG, avro(score(dimensions={str(i): 1.0 for i in range(33)}))),
    (Reason.EMPTY_NAME, avro(score(service=""))),
    (Reason.RESERVED_NAME, avro(score(model="*"))),
    (Reason.TOO_OLD, avro(score(timestamp=1))),
    (Reason.FOREIGN_SCHEMA, AVRO),
    (Reason.BROKEN_AVRO, avro(SCORE)[:-1]),
    (Reason.BROKEN_AVRO, avro(score(dimensions={"a": 1.0}))[:-1]),
    (Reason.WRONG_SHAPE, plain(SCORE, overall=None)),
]


@pytest.mark.parametrize(
    ("topic", "reason", "value"),
    [(METRICS, *bad) for bad in BAD] + [(QUALITY, *bad) for bad in BAD_SCORES],
    ids=lambda x: x.value if isinstance(x, Reason) else "",
)
def test_bad_input_is_named(topic: Topic, reason: Reason, value: bytes | None) -> None:
    good = avro(EVENT if topic is METRICS else SCORE)
    for read in (decode, slowly):
        found = read([good, value, *[good] * 40], topic)

        assert [(1, reason)] == [(r.message, r.reason) for r in found.rejected]
        assert found.rejected[0].detail
        assert [0, *range(2, 42)] == found.events.message.tolist()


def test_what_is_just_allowed_is_taken() -> None:
    edges = [
        event(latency_ms=3_600_000.0, time_to_first_token_ms=3_600_000.0, cost_usd=1000.0),
        event(latency_ms=0.0, cost_usd=0.0, tokens_input=0, tokens_output=0),
        event(tokens_input=10_000_000, cached_tokens=0, retry_count=1000, status_code=599),
        event(service="ü" * 256, error_type="ü" * 128, request_id="\U0001f600" * 256),
        event(tags={str(i) * 128: "v" * 256 for i in range(32)}),
        event(timestamp=NOW - WEEK),
        event(timestamp=NOW + 300_000),
    ]

    assert () == decode([avro(e) for e in edges]).rejected
    assert_same(decode([avro(e) for e in edges]), decode([plain(e) for e in edges]))
    assert () == decode([avro(score(overall=100.0, dimensions={"a": 0.0}))], QUALITY).rejected


def test_a_tenth_of_garbage_leaves_the_rest_as_it_was() -> None:
    garbage = [value for _, value in BAD if value is None or len(value) < 1000]
    values: list[bytes | None] = []
    for i in range(900):
        values += [garbage[i // 9 % len(garbage)]] if i % 9 == 0 else []
        values.append(avro(event(latency_ms=float(i), model=f"m-{i % 7}")))

    found = decode(values)

    assert list(range(900)) == [ms // 1000 for ms in column(found.events, "latency_ms")]
    assert [f"m-{i % 7}" for i in range(900)] == [found.events.keys[k][2] for k in found.events.key]
    assert_same(slowly(values), found)
