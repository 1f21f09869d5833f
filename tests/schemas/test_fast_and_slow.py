"""The fast and the slow path read the same, whatever the bytes."""

# fields of any type are compared

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.codec import Codec
from schemas.columns import Decoded, EventColumns
from schemas.decode import decode_events, decode_slowly
from schemas.metric import MetricEvent
from schemas.quality import QualityScore
from schemas.registry import LocalRegistry
from schemas.scope import reserved
from schemas.topics import METRICS, QUALITY, Topic

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


LONG = "x" * 257
TEXTS = st.text(max_size=8) | st.sampled_from(["", "timeout", "ü", "\0", "\U0001f600" * 40, LONG])
WHOLE = st.integers(-2, 600) | st.integers(-(2**63), 2**63 - 1)
REAL = st.floats() | st.floats(0, 1000)
TIMES = st.integers(NOW - WEEK - 2, NOW + 300_002) | WHOLE


def maybe(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | some


EVENTS = st.builds(
    MetricEvent,
    timestamp=TIMES,
    service=TEXTS,
    endpoint=TEXTS,
    model=TEXTS,
    provider=TEXTS,
    latency_ms=REAL,
    tokens_input=WHOLE,
    tokens_output=WHOLE,
    tokens_total=maybe(WHOLE),
    cost_usd=maybe(REAL),
    status_code=st.integers(95, 605) | WHOLE,
    error_type=maybe(TEXTS),
    retry_count=WHOLE,
    config_version=maybe(TEXTS),
    cohort=maybe(TEXTS),
    request_id=maybe(TEXTS),
    trace_id=maybe(TEXTS),
    unit_id=maybe(TEXTS),
    time_to_first_token_ms=maybe(REAL),
    cached_tokens=maybe(WHOLE),
    region=maybe(TEXTS),
    tags=st.dictionaries(TEXTS, TEXTS, max_size=3),
)
TAME = st.builds(
    event,
    latency_ms=st.floats(0, 10_000),
    model=st.text(min_size=1, max_size=20).filter(lambda name: reserved("", name) is None),
    cost_usd=maybe(st.floats(0, 10)),
    status_code=st.sampled_from([200, 200, 429, 504]),
    error_type=maybe(st.sampled_from(["timeout", "rate_limit", ""])),
    request_id=maybe(st.text(max_size=40)),
    trace_id=maybe(st.text(max_size=3)),
    unit_id=maybe(st.text(max_size=3)),
    cohort=maybe(st.sampled_from(["", "stable", "candidate"])),
    tags=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
SCORES = st.builds(
    score,
    overall=REAL | st.floats(0, 100),
    dimensions=st.dictionaries(TEXTS, st.floats(0, 100) | REAL, max_size=3),
    confidence=st.floats(0, 1) | REAL,
    method=TEXTS,
    request_id=maybe(TEXTS),
    timestamp=TIMES,
)
THOROUGH = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@given(st.lists(EVENTS | TAME, max_size=8))
@THOROUGH
def test_fast_and_slow_read_the_same_events(found: list[MetricEvent]) -> None:
    values: list[bytes | None] = [avro(e) for e in found]

    assert_same(slowly(values), decode(values))


@given(st.lists(SCORES, max_size=8))
@THOROUGH
def test_fast_and_slow_read_the_same_scores(found: list[QualityScore]) -> None:
    values: list[bytes | None] = [avro(s) for s in found]

    assert_same(slowly(values, QUALITY), decode(values, QUALITY))


@given(st.lists(TAME, max_size=8))
@THOROUGH
def test_avro_and_json_are_the_same_events(found: list[MetricEvent]) -> None:
    expected = decode([avro(e) for e in found])

    assert () == expected.rejected
    assert_same(expected, decode([plain(e) for e in found]))
    assert_same(expected, decode([json.dumps([dataclasses.asdict(e)]).encode() for e in found]))


@given(st.data())
@settings(THOROUGH, max_examples=80)
def test_fast_and_slow_agree_about_damaged_bytes(data: st.DataObject) -> None:
    values: list[bytes | None] = []
    for whole in data.draw(st.lists(TAME.map(avro), min_size=1, max_size=30)):
        damage = data.draw(st.sampled_from(["none", "none", "cut", "flip", "insert"]))
        at = data.draw(st.integers(5, len(whole) - 1))
        new = data.draw(st.binary(min_size=1, max_size=12))
        values.append(
            {
                "none": whole,
                "cut": whole[:at],
                "flip": whole[:at] + new[:1] + whole[at + 1 :],
                "insert": whole[:at] + new + whole[at:],
            }[damage]
        )

    assert_same(slowly(values), decode(values))


@given(st.lists(st.binary(max_size=40), max_size=5))
@THOROUGH
def test_whatever_the_bytes_are_each_message_is_read_or_rejected(values: list[bytes]) -> None:
    found = decode([*values])

    seen = {*found.events.message.tolist(), *(r.message for r in found.rejected)}
    assert set(range(len(values))) == seen
