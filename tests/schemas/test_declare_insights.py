"""Conditions that ask what analysis found, as people write them."""

from typing import Any

import msgspec
import pytest

from schemas.catalog import (
    Condition,
    Metric,
    Rule,
)
from schemas.declare import declare
from tests.schemas.declaring import refused, rule


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (
            {"trend": "p95_latency_ms", "direction": "degrading", "confidence": "95%"},
            Condition(trend=Metric.P95_LATENCY_MS, direction="degrading", confidence=0.95),
        ),
        (
            {"trend": "quality", "op": "<", "value": -0.5, "window": "24h"},
            Condition(trend=Metric.QUALITY, op="<", value=-0.5, window="24h"),
        ),
        (
            {"change_point": "quality", "direction": "degrading", "by": "5%", "held": "2h"},
            Condition(change_point=Metric.QUALITY, direction="degrading", by=0.05, held_s=7200),
        ),
        (
            {"comparison": "requests", "direction": "rising", "by": 1.5, "than": "peak"},
            Condition(comparison=Metric.REQUESTS, direction="rising", by=1.5, than="peak"),
        ),
        ({"comparison": "error_rate"}, Condition(comparison=Metric.ERROR_RATE)),
        (
            {
                "forecast": "cost_per_hour_usd",
                "op": ">",
                "value": 50,
                "ahead": "6h",
                "bound": "pessimistic",
            },
            Condition(
                forecast=Metric.COST_PER_HOUR_USD,
                op=">",
                value=50.0,
                ahead_s=21_600,
                bound="pessimistic",
            ),
        ),
    ],
)
def test_what_analysis_finds_is_asked_for_as_people_write_it(
    when: dict[str, Any], expected: Condition
) -> None:
    assert Rule(id="spike", name="spike", when=expected) == declare(rule(when=when))["rule/spike"]


def test_a_prediction_is_of_a_model_of_the_catalog() -> None:
    when = {"prediction": "quality", "model": "openai/x", "op": ">", "value": 90}
    inside = {"any_of": [{"none_of": [when]}]}
    models = {"models": {"openai/x": {}}}

    assert ["model/openai/x", "rule/spike"] == list(declare(models | rule(when=inside)))
    assert "rule/spike, when: no model of the catalog is 'openai/x'; declare it" in refused(
        rule(when=inside)
    )
    assert "did you mean 'openai/xy'?" in refused({"models": {"openai/xy": {}}} | rule(when=inside))


@pytest.mark.parametrize(
    ("when", "sentence"),
    [
        (
            {},
            "is empty; give a metric with op and value, an anomaly, a trend, a change_point, a com",
        ),
        ({"trend": "qualty"}, "trend: 'qualty' is unknown; did you mean 'quality'?"),
        ({"trend": "quality", "anomaly": "quality"}, "has anomaly and trend; keep one"),
        ({"trend": "quality"}, "the trend of quality needs op and value or a direction; add them"),
        (
            {"trend": "quality", "op": ">"},
            "the trend of quality has one of op and value; give both",
        ),
        ({"trend": "quality", "direction": "down"}, "direction: 'down' is unknown"),
        (
            {"trend": "quality", "direction": "degrading", "window": "5m"},
            "window: '5m' is unknown; use one of 1h, 1m, 24h",
        ),
        (
            {"trend": "quality", "direction": "degrading", "by": "5%"},
            "when, by: a trend has none; it has window, direction, op, value and confidence",
        ),
        (
            {"trend": "quality", "direction": "degrading", "held": "5m"},
            "when, held: a trend has none",
        ),
        (
            {"trend": "quality", "direction": "degrading", "severity": "high"},
            "when, severity: a trend has none",
        ),
        (
            {"trend": "requests", "direction": "degrading"},
            "nobody knows which way is good for requests; write rising or falling",
        ),
        (
            {"trend": "quality", "direction": "stable", "op": ">", "value": 1},
            "a trend that is asked for its size is not stable",
        ),
        ({"change_point": "quality", "direction": "stable"}, "is not stable; write degrading"),
        ({"change_point": "quality", "by": -1}, "by: -1 is not possible; write a number of 0 or"),
        (
            {"change_point": "quality", "confidence": 95},
            "confidence: 95 is not possible; write a share from 0 to 1",
        ),
        ({"change_point": "quality", "held": -5}, "held: -5 is negative"),
        ({"comparison": "requests"}, "nobody knows which way is good for requests"),
        ({"comparison": "quality", "than": "yesterday"}, "than: 'yesterday' is unknown"),
        (
            {"forecast": "quality", "ahead": "6h"},
            "the forecast of quality needs op and value; add them",
        ),
        (
            {"forecast": "quality", "op": "<", "value": 80},
            "ahead: 0 s from now is not ahead; write 6h, 1d",
        ),
        (
            {"forecast": "quality", "op": "<", "value": 120, "ahead": "6h"},
            "value: 120 is not possible; write points from 0 to 100",
        ),
        (
            {
                "forecast": "requests",
                "op": ">",
                "value": 1,
                "ahead": "6h",
                "bound": "pessimistic",
            },
            "bound: nobody knows which way is worse for requests; remove it",
        ),
        (
            {"prediction": "quality", "op": "<", "value": 80},
            "model: None is no model; write it as provider/model",
        ),
        (
            {"prediction": "quality", "op": "<", "value": 80, "model": "gpt"},
            "model: 'gpt' is no model",
        ),
        (
            {"metric": "quality", "op": "<", "value": 80, "window": "1m"},
            "when, window: metric has none; remove it, or ask for a trend or change_point or",
        ),
        (
            {"anomaly": "quality", "ahead": "1h"},
            "when, ahead: anomaly has none; remove it, or ask for a forecast",
        ),
        (
            {"all_of": [{"anomaly": "quality"}], "by": 1},
            "when, by: all_of has none; remove it, or ask for a change_point or comparison",
        ),
    ],
)
def test_what_analysis_could_never_tell_is_refused_with_what_to_change(
    when: dict[str, Any], sentence: str
) -> None:
    assert sentence in refused(rule(when=when))


def test_a_rule_that_was_written_before_there_was_analysis_is_still_read() -> None:
    old = {"id": "x", "name": "x", "when": {"metric": "quality", "op": "<", "value": 80.0}}
    when = Condition(metric=Metric.QUALITY, op="<", value=80.0)

    assert Rule(id="x", name="x", when=when) == msgspec.convert(old, Rule)
