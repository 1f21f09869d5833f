"""The fast and the slow path read the same, whatever the bytes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.metric import MetricEvent
from schemas.scope import reserved
from schemas.topics import QUALITY

LONG = "x" * 257
TEXTS = st.text(max_size=8) | st.sampled_from(["", "timeout", "ü", "\0", "\U0001f600" * 40, LONG])
WHOLE = st.integers(-2, 600) | st.integers(-(2**63), 2**63 - 1)
REAL = st.floats() | st.floats(0, 1000)


def maybe(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | some


def times(wire: Any) -> st.SearchStrategy[int]:
    """Times around what is just allowed, and any."""
    return st.integers(wire.NOW - wire.WEEK - 2, wire.NOW + 300_002) | WHOLE


def events(wire: Any) -> st.SearchStrategy[Any]:
    """Events of any values."""
    return st.builds(
        MetricEvent,
        timestamp=times(wire),
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


def tame(wire: Any) -> st.SearchStrategy[Any]:
    """Events that can be used."""
    return st.builds(
        wire.event,
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


def scores(wire: Any) -> st.SearchStrategy[Any]:
    """Scores of any values."""
    return st.builds(
        wire.score,
        overall=REAL | st.floats(0, 100),
        dimensions=st.dictionaries(TEXTS, st.floats(0, 100) | REAL, max_size=3),
        confidence=st.floats(0, 1) | REAL,
        method=TEXTS,
        request_id=maybe(TEXTS),
        timestamp=times(wire),
    )


THOROUGH = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@given(data=st.data())
@THOROUGH
def test_fast_and_slow_read_the_same_events(wire: Any, data: st.DataObject) -> None:
    found = data.draw(st.lists(events(wire) | tame(wire), max_size=8))
    values: list[bytes | None] = [wire.avro(e) for e in found]

    wire.assert_same(wire.slowly(values), wire.decode(values))


@given(data=st.data())
@THOROUGH
def test_fast_and_slow_read_the_same_scores(wire: Any, data: st.DataObject) -> None:
    found = data.draw(st.lists(scores(wire), max_size=8))
    values: list[bytes | None] = [wire.avro(s) for s in found]

    wire.assert_same(wire.slowly(values, QUALITY), wire.decode(values, QUALITY))


@given(data=st.data())
@THOROUGH
def test_avro_and_json_are_the_same_events(wire: Any, data: st.DataObject) -> None:
    found = data.draw(st.lists(tame(wire), max_size=8))
    expected = wire.decode([wire.avro(e) for e in found])

    assert () == expected.rejected
    wire.assert_same(expected, wire.decode([wire.plain(e) for e in found]))
    wire.assert_same(
        expected, wire.decode([json.dumps([dataclasses.asdict(e)]).encode() for e in found])
    )


@given(data=st.data())
@settings(THOROUGH, max_examples=80)
def test_fast_and_slow_agree_about_damaged_bytes(wire: Any, data: st.DataObject) -> None:
    values: list[bytes | None] = []
    for whole in data.draw(st.lists(tame(wire).map(wire.avro), min_size=1, max_size=30)):
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

    wire.assert_same(wire.slowly(values), wire.decode(values))


@given(values=st.lists(st.binary(max_size=40), max_size=5))
@THOROUGH
def test_whatever_the_bytes_are_each_message_is_read_or_rejected(
    wire: Any, values: list[bytes]
) -> None:
    found = wire.decode([*values])

    seen = {*found.events.message.tolist(), *(r.message for r in found.rejected)}
    assert set(range(len(values))) == seen
