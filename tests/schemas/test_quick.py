"""Events that are read in C are those that are read in Python, bit for bit."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import native
from schemas.columns import Decoded, EventColumns
from schemas.metric import MetricEvent
from schemas.scope import reserved

NAMES = st.sampled_from(["a", "b", "ü", "\U0001f600", "x" * 256, "ü" * 256, "*", "a|b", "a/b", ""])
WHOLE = st.integers(-2, 2_000) | st.sampled_from([10_000_000, 10_000_001, 2**63 - 1, -(2**63)])
REAL = st.floats() | st.floats(0, 5_000) | st.sampled_from([3_600_000.0, 0.0005, 0.0015, -0.0])


@pytest.fixture(autouse=True)
def built() -> None:
    assert native.core is not None, "it was not built: is there a compiler?"


def maybe(some: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | some


def events(wire: Any) -> st.SearchStrategy[MetricEvent]:
    usual = st.sampled_from(["a", "b", "ü"])
    return st.builds(
        MetricEvent,
        timestamp=st.integers(wire.NOW - 3, wire.NOW) | st.just(wire.NOW + 300_001),
        service=usual | NAMES,
        endpoint=usual | NAMES,
        model=usual | NAMES,
        provider=usual,
        latency_ms=st.floats(0, 5_000) | REAL,
        tokens_input=st.integers(0, 10) | WHOLE,
        tokens_output=st.integers(0, 10),
        tokens_total=maybe(WHOLE),
        cost_usd=maybe(st.floats(0, 1_000) | REAL),
        status_code=st.sampled_from([100, 200, 299, 300, 408, 504, 599, 99, 600]),
        error_type=maybe(st.sampled_from(["", "timeout", "rate_limit", "e" * 128, "e" * 129])),
        retry_count=st.sampled_from([0, 1, 1_000, 1_001]),
        config_version=maybe(st.sampled_from(["", "v1", "v|1", "*"])),
        cohort=maybe(st.sampled_from(["", "stable"])),
        request_id=maybe(st.text(max_size=40)),
        trace_id=maybe(st.text(max_size=3)),
        unit_id=maybe(st.text(max_size=3)),
        time_to_first_token_ms=maybe(st.floats(0, 5_000)),
        cached_tokens=maybe(st.integers(0, 10)),
        region=maybe(NAMES),
        tags=st.dictionaries(NAMES, NAMES, max_size=3),
    )


@given(data=st.data())
@settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_events_are_the_same_and_numbered_the_same(wire: Any, data: st.DataObject) -> None:
    values: list[bytes | None] = []
    for each in data.draw(st.lists(events(wire), max_size=12)):
        whole = wire.avro(each)
        at = data.draw(st.integers(0, len(whole) - 1))
        form = data.draw(st.sampled_from(["avro"] * 6 + ["json", "cut", "flip", "more", "none"]))
        values.append(
            {
                "avro": whole,
                "json": json.dumps(dataclasses.asdict(each)).encode(),
                "cut": whole[:at],
                "flip": whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :],
                "more": whole + b"\0",
                "none": None,
            }[form]
        )
    built = wire.decode(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "core", None)
        plain = wire.decode(values)

    assert_identical(plain, built)


def test_messages_of_confluent_kafka_are_read_as_well(wire: Any) -> None:
    values = [wire.avro(wire.event()), None, b"{}"]
    built = wire.decode([Message(topic="t", partition=0, offset=0, value=each) for each in values])

    assert_identical(wire.decode(values), built)


def test_most_events_are_read_in_c(wire: Any) -> None:
    good = wire.event(service="ü", error_type="timeout", tags={"a": "ü"}, request_id="r")
    values = [wire.avro(good), b"{}", wire.avro(dataclasses.replace(good, service="a/b"))]

    assert reserved("a/b") is not None
    assert [1, 2] == left_over(wire, values)


def left_over(wire: Any, values: list[bytes]) -> list[int]:
    from schemas.events import Clock
    from schemas.quick import quick

    found = quick(wire.REGISTRY, values, Clock(wire.NOW, wire.WEEK))
    assert found is not None
    left: list[int] = found[1].tolist()
    return left


def assert_identical(expected: Decoded, found: Decoded) -> None:
    assert expected.rejected == found.rejected
    for field in dataclasses.fields(EventColumns):
        one, two = getattr(expected.events, field.name), getattr(found.events, field.name)
        if isinstance(one, tuple):
            assert one == two, field.name
        else:
            np.testing.assert_array_equal(one, two, field.name)
            assert (one.dtype, one.shape) == (two.dtype, two.shape), field.name


def test_columns_that_are_too_short_are_refused() -> None:
    short = tuple(np.zeros(1, np.int64) for _ in range(11))
    enough = (*(np.zeros(8, np.int64) for _ in range(9)), *np.zeros((2, 1), np.bool_))
    core: Any = native.core

    with pytest.raises(ValueError, match="a column of 2 items"):
        core.read_events([b"", b""], 1, 0, 1, short, {})
    with pytest.raises(ValueError, match="the columns are not"):
        core.read_events([], 1, 0, 1, (), {})
    with pytest.raises(TypeError, match="bytes, None or a Message"):
        core.read_events(["text"], 1, 0, 1, enough, {})
