"""Bad input is named, and leaves the good as it is."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from schemas.anomaly import Anomaly
from schemas.decode import LARGEST
from schemas.errors import Reason
from schemas.topics import ANOMALIES, METRICS, QUALITY, Topic

LONG = "x" * 257


def bad(wire: Any) -> list[tuple[Reason, bytes | None]]:
    """What is no metric event, and why."""
    whole = wire.avro(wire.EVENT)
    foreign = b"\0" + wire.REGISTRY.id_of(ANOMALIES, Anomaly).to_bytes(4, "big") + whole[5:]
    text = b"\0" + wire.REGISTRY.register('"string"').to_bytes(4, "big") + b"\x02x"
    return [
        (Reason.NULL_VALUE, None),
        (Reason.NULL_VALUE, b""),
        (Reason.TOO_LARGE, b"{" + b" " * LARGEST),
        (Reason.TOO_LARGE, whole + bytes(LARGEST)),
        (Reason.UNKNOWN_SCHEMA, b"\0\xff\xff\xff\xff" + whole[5:]),
        (Reason.UNKNOWN_SCHEMA, b"\0\0\0\0\0" + whole[5:]),
        (Reason.FOREIGN_SCHEMA, foreign),
        (Reason.FOREIGN_SCHEMA, text),
        (Reason.FOREIGN_SCHEMA, wire.avro(wire.SCORE)),
        *((Reason.BROKEN_AVRO, whole[:i]) for i in range(1, len(whole))),
        (Reason.BROKEN_AVRO, whole + b"\0"),
        (Reason.BROKEN_AVRO, whole + whole),
        (Reason.BROKEN_AVRO, whole.replace(b"\x0csearch", b"\x0csear\xff\xfe")),
        (Reason.BROKEN_AVRO, whole.replace(b"\x0csearch", b"\x0bsearch")),
        (Reason.BROKEN_AVRO, whole.replace(b"\x0csearch", b"\xfe\xff\xff\xff\x0fsearch")),
        (Reason.BROKEN_AVRO, whole[:-1] + b"\x02"),
        (Reason.BROKEN_AVRO, whole[:-1] + b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        (Reason.BROKEN_JSON, b"{"),
        (Reason.BROKEN_JSON, b"garbage"),
        (Reason.BROKEN_JSON, b"\xff\xfe\xfd"),
        (Reason.BROKEN_JSON, b"   "),
        (Reason.BROKEN_JSON, b"[" + wire.plain(wire.EVENT)),
        (Reason.BROKEN_JSON, wire.plain(wire.EVENT) + wire.plain(wire.EVENT)),
        (Reason.BROKEN_JSON, wire.plain(wire.EVENT)[:-1] + b',"x":' + b"[" * 100_000),
        (Reason.BROKEN_JSON, wire.plain(wire.EVENT).replace(b'"search"', b'"\xff"')),
        (Reason.BROKEN_JSON, wire.plain(wire.EVENT).replace(b'"search"', b'"\\ud800"')),
        (Reason.BROKEN_JSON, wire.plain(wire.EVENT, latency_ms=math.nan)),
        (Reason.BROKEN_JSON, wire.plain(wire.EVENT, latency_ms=-math.inf)),
        (Reason.WRONG_SHAPE, b"[" * 100_000),
        (Reason.WRONG_SHAPE, b"{}"),
        (Reason.WRONG_SHAPE, b"1"),
        (Reason.WRONG_SHAPE, b"null"),
        (Reason.WRONG_SHAPE, wire.plain(wire.EVENT, model=None)),
        (Reason.WRONG_SHAPE, wire.plain(wire.EVENT, latency_ms="fast")),
        (Reason.WRONG_SHAPE, wire.plain(wire.EVENT, tokens_input=1.5)),
        (Reason.WRONG_SHAPE, wire.plain(wire.EVENT, tags={"a": 1})),
        (Reason.NOT_FINITE, wire.avro(wire.event(latency_ms=math.nan))),
        (Reason.NOT_FINITE, wire.avro(wire.event(cost_usd=math.inf))),
        (Reason.NOT_FINITE, wire.avro(wire.event(time_to_first_token_ms=-math.inf))),
        (Reason.NEGATIVE, wire.avro(wire.event(latency_ms=-0.001))),
        (Reason.NEGATIVE, wire.avro(wire.event(tokens_input=-1))),
        (Reason.NEGATIVE, wire.avro(wire.event(tokens_output=-(2**63)))),
        (Reason.NEGATIVE, wire.avro(wire.event(tokens_total=-1))),
        (Reason.NEGATIVE, wire.avro(wire.event(cached_tokens=-1))),
        (Reason.NEGATIVE, wire.avro(wire.event(cost_usd=-1e-12))),
        (Reason.NEGATIVE, wire.avro(wire.event(retry_count=-1))),
        (Reason.NEGATIVE, wire.plain(wire.EVENT, tokens_input=-(2**70))),
        (Reason.OUT_OF_RANGE, wire.plain(wire.EVENT, tokens_input=2**70)),
        (Reason.OUT_OF_RANGE, wire.plain(wire.EVENT).replace(b"812.3456", b"1e999")),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(latency_ms=3_600_000.1))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(latency_ms=1.7e308))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(time_to_first_token_ms=3_600_001.0))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(tokens_input=10_000_001))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(tokens_output=2**63 - 1))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(tokens_total=10_000_001))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(cached_tokens=10_000_001))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(cost_usd=1000.01))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(retry_count=1001))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(status_code=99))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(status_code=600))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.event(status_code=-200))),
        *(
            (Reason.TOO_LONG, wire.avro(wire.event(**{name: LONG})))
            for name in ("service", "model", "cohort", "config_version", "request_id", "region")
        ),
        (Reason.TOO_LONG, wire.avro(wire.event(unit_id=LONG))),
        (Reason.TOO_LONG, wire.avro(wire.event(trace_id="ü" * 257))),
        (Reason.TOO_LONG, wire.avro(wire.event(error_type="x" * 129))),
        (Reason.TOO_LONG, wire.avro(wire.event(tags={LONG: "v"}))),
        (Reason.TOO_LONG, wire.avro(wire.event(tags={"k": LONG}))),
        (Reason.TOO_LONG, wire.avro(wire.event(tags={str(i): "v" for i in range(33)}))),
        *(
            (Reason.EMPTY_NAME, wire.avro(wire.event(**{name: ""})))
            for name in ("service", "endpoint", "model", "provider")
        ),
        *(
            (Reason.RESERVED_NAME, wire.avro(wire.event(**{name: "*"})))
            for name in ("service", "cohort")
        ),
        (Reason.RESERVED_NAME, wire.avro(wire.event(endpoint="a|b"))),
        (Reason.RESERVED_NAME, wire.avro(wire.event(service="team/search"))),
        (Reason.TOO_OLD, wire.avro(wire.event(timestamp=wire.NOW - wire.WEEK - 1))),
        (Reason.TOO_OLD, wire.avro(wire.event(timestamp=0))),
        (Reason.TOO_OLD, wire.avro(wire.event(timestamp=-(2**63)))),
        (Reason.IN_THE_FUTURE, wire.avro(wire.event(timestamp=wire.NOW + 300_001))),
        (Reason.IN_THE_FUTURE, wire.avro(wire.event(timestamp=2**63 - 1))),
    ]


def bad_scores(wire: Any) -> list[tuple[Reason, bytes | None]]:
    """What is no quality score, and why."""
    return [
        (Reason.NOT_FINITE, wire.avro(wire.score(overall=math.nan))),
        (Reason.NOT_FINITE, wire.avro(wire.score(dimensions={"a": 1.0, "b": math.nan}))),
        (Reason.NEGATIVE, wire.avro(wire.score(overall=-0.1))),
        (Reason.NEGATIVE, wire.avro(wire.score(dimensions={"a": 50.0, "b": -1.0}))),
        (Reason.NEGATIVE, wire.avro(wire.score(confidence=-0.1))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.score(overall=100.1))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.score(dimensions={"a": 100.1}))),
        (Reason.OUT_OF_RANGE, wire.avro(wire.score(confidence=1.1))),
        (Reason.TOO_LONG, wire.avro(wire.score(method=LONG))),
        (Reason.TOO_LONG, wire.avro(wire.score(dimensions={LONG: 1.0}))),
        (Reason.TOO_LONG, wire.avro(wire.score(dimensions={str(i): 1.0 for i in range(33)}))),
        (Reason.EMPTY_NAME, wire.avro(wire.score(service=""))),
        (Reason.RESERVED_NAME, wire.avro(wire.score(model="*"))),
        (Reason.TOO_OLD, wire.avro(wire.score(timestamp=1))),
        (Reason.FOREIGN_SCHEMA, wire.avro(wire.EVENT)),
        (Reason.BROKEN_AVRO, wire.avro(wire.SCORE)[:-1]),
        (Reason.BROKEN_AVRO, wire.avro(wire.score(dimensions={"a": 1.0}))[:-1]),
        (Reason.WRONG_SHAPE, wire.plain(wire.SCORE, overall=None)),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each bad message is a test of its own; they are built by this folder's conftest."""
    if "reason" in metafunc.fixturenames:
        conftest = str(Path(__file__).with_name("conftest.py"))
        wire = metafunc.config.pluginmanager.get_plugin(conftest)
        metafunc.parametrize(
            ("topic", "reason", "value"),
            [(METRICS, *each) for each in bad(wire)]
            + [(QUALITY, *each) for each in bad_scores(wire)],
            ids=lambda x: x.value if isinstance(x, Reason) else "",
        )


def test_bad_input_is_named(wire: Any, topic: Topic, reason: Reason, value: bytes | None) -> None:
    good = wire.avro(wire.EVENT if topic is METRICS else wire.SCORE)
    for read in (wire.decode, wire.slowly):
        found = read([good, value, *[good] * 40], topic)

        assert [(1, reason)] == [(r.message, r.reason) for r in found.rejected]
        assert found.rejected[0].detail
        assert [0, *range(2, 42)] == found.events.message.tolist()


def test_what_is_just_allowed_is_taken(wire: Any) -> None:
    edges = [
        wire.event(latency_ms=3_600_000.0, time_to_first_token_ms=3_600_000.0, cost_usd=1000.0),
        wire.event(latency_ms=0.0, cost_usd=0.0, tokens_input=0, tokens_output=0),
        wire.event(tokens_input=10_000_000, cached_tokens=0, retry_count=1000, status_code=599),
        wire.event(service="ü" * 256, error_type="ü" * 128, request_id="\U0001f600" * 256),
        wire.event(tags={str(i) * 128: "v" * 256 for i in range(32)}),
        wire.event(timestamp=wire.NOW - wire.WEEK),
        wire.event(timestamp=wire.NOW + 300_000),
    ]

    assert () == wire.decode([wire.avro(e) for e in edges]).rejected
    wire.assert_same(
        wire.decode([wire.avro(e) for e in edges]), wire.decode([wire.plain(e) for e in edges])
    )
    assert (
        ()
        == wire.decode(
            [wire.avro(wire.score(overall=100.0, dimensions={"a": 0.0}))], QUALITY
        ).rejected
    )


def test_a_tenth_of_garbage_leaves_the_rest_as_it_was(wire: Any) -> None:
    garbage = [value for _, value in bad(wire) if value is None or len(value) < 1000]
    values: list[bytes | None] = []
    for i in range(900):
        values += [garbage[i // 9 % len(garbage)]] if i % 9 == 0 else []
        values.append(wire.avro(wire.event(latency_ms=float(i), model=f"m-{i % 7}")))

    found = wire.decode(values)

    assert list(range(900)) == [ms // 1000 for ms in wire.column(found.events, "latency_ms")]
    assert [f"m-{i % 7}" for i in range(900)] == [found.events.keys[k][2] for k in found.events.key]
    wire.assert_same(wire.slowly(values), found)
