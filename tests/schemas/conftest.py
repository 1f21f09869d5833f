"""Events and scores in every form, and what they are read as."""

from __future__ import annotations

import dataclasses
import json
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from schemas.codec import Codec
from schemas.columns import Decoded, EventColumns
from schemas.decode import decode_events, decode_slowly
from schemas.metric import MetricEvent
from schemas.partial import METRICS as VALUES
from schemas.quality import QualityScore
from schemas.registry import LocalRegistry
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


@pytest.fixture(scope="session")
def wire() -> ModuleType:
    """The builders and constants of the tests of what is read."""
    return sys.modules[__name__]
