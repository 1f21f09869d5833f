from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from schemas.anomaly import Anomaly, Severity
from schemas.codec import Codec
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.consistent import inspect
from schemas.errors import Reason, Undecodable
from schemas.registry import LocalRegistry
from schemas.topics import COMMANDS
from schemas.window import MINUTE, EnrichedWindow, Histogram, MetricSummary, WindowAggregate

LATENCY = MetricSummary(
    count=2, sum=3.0, mean=1.5, min=1.0, max=2.0, stddev=0.7, p50=1.0, p90=2.0, p95=2.0, p99=2.0,
    histogram=Histogram((300, 340), (1, 1)),
)  # fmt: skip
WINDOW = WindowAggregate(
    service="search", endpoint="answer", model="m", provider="p", config_version="", cohort="",
    window="1m", start=60 * MINUTE, end=61 * MINUTE, revision=1, closed=True, watermark=0,
    requests=2, success=1, errors=1, timeouts=1, retries=0, error_units=(4, 9),
    metrics={"latency_ms": LATENCY},
)  # fmt: skip
COMMAND = Command(id="1", kind=CommandKind.PAUSE, scope="*", at=0, by="ada")
ANOMALY = Anomaly(
    id="a", scope="search/answer", metric="quality", window="1m", start=0, end=MINUTE, revision=1,
    is_anomaly=True, severity=Severity.HIGH, confidence=0.9, actual=1.0, expected=2.0,
    expected_low=1.5, expected_high=2.5, deviation=-math.inf, detector="x", samples=30,
)  # fmt: skip


def refused(record: Any) -> Reason:
    with pytest.raises(Undecodable) as raised:
        inspect(record)
    return raised.value.reason


HOPPING = replace(WINDOW, window="w:hopping:15m:5m", start=65 * MINUTE, end=80 * MINUTE)
SESSION = replace(WINDOW, window="w:session:5m:1h", start=61 * MINUTE, end=120 * MINUTE)


@pytest.mark.parametrize("record", [WINDOW, COMMAND, ANOMALY, HOPPING, SESSION, object()], ids=type)
def test_what_can_be_meant_is_taken(record: Any) -> None:
    inspect(record)

    assert record


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"window": "2m"}, Reason.INCONSISTENT),
        ({"window": "w:hopping:1m:1m:1m"}, Reason.INCONSISTENT),
        ({"window": "w:hopping:5m:2m", "end": 65 * MINUTE}, Reason.INCONSISTENT),
        ({"window": "w:hopping:5m:1m"}, Reason.INCONSISTENT),
        (
            {"window": "w:hopping:2m:2m", "start": 61 * MINUTE, "end": 63 * MINUTE},
            Reason.INCONSISTENT,
        ),
        ({"window": "w:session:5m:1h"}, Reason.INCONSISTENT),
        ({"window": "w:session:5m:1h", "end": 121 * MINUTE}, Reason.INCONSISTENT),
        ({"window": "w:session:5m:1h", "end": 67 * MINUTE + 1}, Reason.INCONSISTENT),
        ({"service": "s" * 2_000}, Reason.TOO_LONG),
        ({"start": -MINUTE, "end": 0}, Reason.OUT_OF_RANGE),
        ({"start": 1 << 60, "end": (1 << 60) + MINUTE}, Reason.OUT_OF_RANGE),
        ({"end": 62 * MINUTE}, Reason.INCONSISTENT),
        ({"start": 60 * MINUTE + 1, "end": 61 * MINUTE + 1}, Reason.INCONSISTENT),
        ({"requests": -1}, Reason.NEGATIVE),
        ({"requests": 3}, Reason.INCONSISTENT),
        ({"timeouts": 3}, Reason.INCONSISTENT),
        ({"cohort": "*"}, Reason.INCONSISTENT),
        ({"errors_by_type": {"x": -1}}, Reason.NEGATIVE),
        ({"error_units": (9, 4)}, Reason.INCONSISTENT),
        ({"metrics": {"speed": LATENCY}}, Reason.INCONSISTENT),
    ],
)
def test_a_window_that_cannot_be_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    assert reason == refused(replace(WINDOW, **changes))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"mean": math.nan}, Reason.NOT_FINITE),
        ({"p95": math.inf}, Reason.NOT_FINITE),
        ({"min": -1.0}, Reason.NEGATIVE),
        ({"min": 3.0}, Reason.INCONSISTENT),
        ({"count": 0, "histogram": Histogram()}, Reason.INCONSISTENT),
        ({"histogram": Histogram((300,), (1,))}, Reason.INCONSISTENT),
        ({"histogram": Histogram((300,), (1, 1))}, Reason.INCONSISTENT),
        ({"histogram": Histogram((340, 300), (1, 1))}, Reason.INCONSISTENT),
        ({"histogram": Histogram((300, 340), (3, -1))}, Reason.NEGATIVE),
        ({"histogram": Histogram((300, 99_999), (1, 1))}, Reason.OUT_OF_RANGE),
    ],
)
def test_a_metric_that_cannot_be_is_refused(changes: dict[str, Any], reason: Reason) -> None:
    metric = replace(LATENCY, **changes)

    assert reason == refused(replace(WINDOW, metrics={"latency_ms": metric}))


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (EnrichedWindow(window=WINDOW, cost_usd=math.nan, cost_per_request_usd=0.0),
         Reason.NOT_FINITE),
        (EnrichedWindow(window=WINDOW, cost_usd=1.0, cost_per_request_usd=-1.0), Reason.NEGATIVE),
        (replace(ANOMALY, scope=""), Reason.EMPTY_NAME),
        (replace(ANOMALY, end=-1), Reason.OUT_OF_RANGE),
        (replace(COMMAND, scope=""), Reason.EMPTY_NAME),
        (replace(COMMAND, at=-1), Reason.OUT_OF_RANGE),
        (replace(COMMAND, config=LlmConfig(version="", provider="p", model="m", top_p=math.inf)),
         Reason.NOT_FINITE),
    ],
)  # fmt: skip
def test_other_records_that_cannot_be_are_refused(record: Any, reason: Reason) -> None:
    assert reason == refused(record)


def test_a_number_that_avro_has_no_place_for_is_refused_wherever_it_is() -> None:
    codec = Codec(LocalRegistry())
    text = codec.encode(COMMANDS, COMMAND).replace(b'"at":0', b'"at":9223372036854775808')

    with pytest.raises(Undecodable, match="does not fit 64 bits"):
        codec.decode(COMMANDS, text)
