"""Rules ask what analysis found: what is old, withdrawn or inconclusive is never a pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from processors.decide.condition import holds
from schemas.catalog import Condition, Metric
from schemas.insight import Insight
from tests.processors.decide.asking import (
    CHANGE,
    COMPARISON,
    FORECAST,
    HOUR,
    P95,
    PREDICTION,
    QUALITY,
    REQUESTS,
    TREND,
    ask,
    told,
)
from tests.processors.decide.world import (
    MID,
    MINUTE,
    NOON,
    SCOPE,
    SMALL,
    World,
    insight,
    minute,
)


def test_nothing_can_be_told_without_an_insight() -> None:
    for leaf in (TREND, CHANGE, COMPARISON, FORECAST, PREDICTION):
        assert told(leaf) is None
        assert told(Condition(none_of=(leaf,))) is None


@pytest.mark.parametrize(
    ("direction", "said", "metric", "expected"),
    [
        ("degrading", "degrading", P95, True),
        ("degrading", "rising", P95, True),
        ("rising", "degrading", P95, True),
        ("falling", "degrading", P95, False),
        ("falling", "degrading", QUALITY, True),
        ("rising", "improving", QUALITY, True),
        ("improving", "improving", P95, True),
        ("degrading", "stable", P95, False),
        ("stable", "stable", P95, True),
        ("stable", "degrading", P95, False),
        ("degrading", "inconclusive", P95, None),
        ("stable", "inconclusive", P95, None),
        ("degrading", "sideways", P95, None),
        ("rising", "rising", REQUESTS, True),
        ("falling", "rising", REQUESTS, False),
        ("rising", "degrading", REQUESTS, None),
    ],
)
def test_a_direction_is_that_of_the_metric_whatever_it_is_called(
    direction: Any, said: str, metric: Metric, *, expected: bool | None
) -> None:
    leaf = Condition(trend=metric, direction=direction)

    assert expected is told(leaf, insight("trend", metric, direction=said))


@pytest.mark.parametrize(
    ("op", "value", "said", "expected"),
    [
        (">", 99.0, "degrading", True),
        (">", 100.0, "degrading", False),
        (">=", 100.0, "degrading", True),
        ("<", -5.0, "degrading", False),
        (">", 99.0, "inconclusive", None),
    ],
)
def test_a_trend_is_as_steep_as_its_slope_an_hour(
    op: Any, value: float, said: str, *, expected: bool | None
) -> None:
    leaf = Condition(trend=P95, op=op, value=value)

    assert expected is told(leaf, insight("trend", direction=said))


@pytest.mark.parametrize("slope", [float("nan"), float("inf")])
def test_a_slope_that_is_no_number_tells_nothing(slope: float) -> None:
    assert told(TREND, insight("trend", value=slope)) is None


@pytest.mark.parametrize("kind", ["trend", "change_point", "comparison", "forecast", "prediction"])
def test_less_confidence_than_asked_for_tells_nothing(kind: str) -> None:
    fields: dict[str, Any] = {
        "trend": {},
        "change_point": {},
        "comparison": {"subject": "rolling 3"},
        "forecast": {"at": NOON + HOUR * MINUTE, "value": 200.0},
        "prediction": {"subject": SMALL},
    }
    leaves = {
        "trend": TREND,
        "change_point": CHANGE,
        "comparison": COMPARISON,
        "forecast": FORECAST,
        "prediction": PREDICTION,
    }
    leaf = leaves[kind]
    found = insight(kind, **fields[kind])

    assert told(replace(leaf, confidence=0.95), found) is True
    assert told(replace(leaf, confidence=0.96), found) is None
    assert told(leaf, replace(found, confidence=float("nan"))) is None


@pytest.mark.parametrize(("window", "most"), [("1m", 30), ("1h", 12 * HOUR), ("24h", 72 * HOUR)])
def test_an_old_insight_tells_nothing(window: Any, most: int) -> None:
    leaf = replace(TREND, window=window)
    found = insight("trend", window=window, n=0)

    assert told(leaf, found, now=most) is True
    assert told(leaf, found, now=most + 1) is None


def test_only_insights_of_the_windows_that_are_asked_for_tell() -> None:
    assert told(TREND, insight("trend", window="24h"), insight("trend", "quality")) is None


def test_a_withdrawn_insight_tells_nothing_and_an_earlier_revision_does_not_return() -> None:
    first, withdrawn = insight("trend"), insight("trend", revision=2, holds=False)

    assert told(TREND, first, withdrawn) is None
    assert told(TREND, withdrawn, first) is None
    assert told(TREND, withdrawn, replace(first, revision=3)) is True


def test_a_lower_revision_changes_nothing_unless_the_higher_one_is_old() -> None:
    high = insight("trend", revision=7)
    low = insight("trend", n=13 * HOUR, revision=1, direction="improving")
    early = World(ask(TREND))
    late = World(ask(TREND))
    early.feed(high, *minute(0), low)
    late.feed(high, *minute(13 * HOUR), low, *minute(13 * HOUR + 1))

    assert holds(early.policy, early.state.scopes[SCOPE], TREND) is True
    assert holds(late.policy, late.state.scopes[SCOPE], TREND) is False


@pytest.mark.parametrize(
    ("fields", "leaf", "expected"),
    [
        ({}, {}, True),
        ({"relative": 0.04}, {"by": 0.05}, False),
        ({"relative": -0.06}, {"by": 0.05}, True),
        ({"relative": None}, {"by": 0.05}, None),
        ({"relative": float("inf")}, {"by": 0.05}, None),
        ({"relative": None}, {}, True),
        ({"direction": "improving"}, {"direction": "degrading"}, False),
        ({"direction": "inconclusive"}, {}, None),
        ({"at": NOON - 59 * MINUTE}, {}, True),
        ({"at": NOON - 60 * MINUTE}, {}, None),
        ({"at": NOON - 60 * MINUTE}, {"held_s": 7200}, True),
        ({"at": NOON - 120 * MINUTE}, {"held_s": 7200}, None),
    ],
)
def test_a_change_is_told_as_long_and_as_large_as_asked(
    fields: dict[str, Any], leaf: dict[str, Any], *, expected: bool | None
) -> None:
    assert expected is told(replace(CHANGE, **leaf), insight("change_point", **fields))


def test_one_of_several_changes_is_enough_and_one_untold_keeps_it_open() -> None:
    small = insight("change_point", tells=("a",), relative=0.01)
    large = insight("change_point", tells=("b",), relative=0.5)
    doubtful = insight("change_point", tells=("c",), relative=None)
    leaf = replace(CHANGE, by=0.05)

    assert told(leaf, small) is False
    assert told(leaf, small, doubtful) is None
    assert told(leaf, small, doubtful, large) is True


@pytest.mark.parametrize(
    ("fields", "leaf", "expected"),
    [
        ({}, {}, True),
        ({}, {"by": 0.1}, True),
        ({}, {"by": 0.11}, False),
        ({"p": 0.06}, {}, None),
        ({"p": None}, {}, None),
        ({"p": float("nan")}, {}, None),
        ({"direction": "improving"}, {}, False),
        ({"direction": "improving"}, {"direction": "improving"}, True),
        ({"direction": "stable", "p": 0.9}, {}, False),
        ({"direction": "inconclusive"}, {}, None),
        ({"subject": "initial 1"}, {}, None),
        ({"subject": "initial 1"}, {"than": "initial"}, True),
    ],
)
def test_a_comparison_is_worse_when_it_is_so_significantly(
    fields: dict[str, Any], leaf: dict[str, Any], *, expected: bool | None
) -> None:
    found = insight("comparison", **{"subject": "rolling 3", **fields})

    assert expected is told(replace(COMPARISON, **leaf), found)


def test_of_several_versions_of_a_baseline_the_newest_comparison_counts() -> None:
    old = insight("comparison", tells=("rolling 3",), subject="rolling 3", n=-60)
    new = insight(
        "comparison", tells=("rolling 4",), subject="rolling 4", direction="stable", p=0.8
    )

    assert told(COMPARISON, new, old) is False


def forecast(hours: int, value: float, **fields: Any) -> Insight:
    """Of the window that ends so many hours after noon."""
    at = NOON + hours * HOUR * MINUTE
    return insight("forecast", tells=(hours,), at=at, value=value, **fields)


SIX = [forecast(hours, 100.0 + 5 * hours) for hours in range(1, 7)]  # 105 to 130


@pytest.mark.parametrize(
    ("now", "hours", "limit", "expected"),
    [
        (1, 6, 120.0, True),
        (1, 5, 129.0, True),  # the sixth window has begun by then
        (1, 4, 129.0, False),
        (1, 5, 130.0, False),
        (1, 7, 130.0, None),  # nobody looked that far ahead
        (1, 7, 120.0, True),
        (7 * HOUR, 6, 120.0, None),  # its time has come
    ],
)
def test_a_forecast_tells_as_far_as_it_reaches(
    now: int, hours: int, limit: float, *, expected: bool | None
) -> None:
    leaf = replace(FORECAST, value=limit, ahead_s=hours * 3600)

    assert expected is told(leaf, *SIX, now=now)


@pytest.mark.parametrize(
    ("metric", "op", "limit", "fields", "expected"),
    [
        ("p95_latency_ms", ">", 149.0, {}, True),
        ("p95_latency_ms", ">", 150.0, {}, False),
        ("quality", "<", 51.0, {}, True),
        ("quality", "<", 50.0, {}, False),
        ("p95_latency_ms", ">", 149.0, {"high": None}, None),
        ("p95_latency_ms", ">", 149.0, {"high": float("nan")}, None),
        ("p95_latency_ms", ">", 149.0, {"direction": "inconclusive"}, True),
    ],
)
def test_a_pessimist_reads_the_worse_end_of_the_range(
    metric: str, op: Any, limit: float, fields: dict[str, Any], *, expected: bool | None
) -> None:
    ahead = Condition(
        forecast=Metric(metric), op=op, value=limit, ahead_s=1800, bound="pessimistic"
    )
    other = Condition(
        prediction=Metric(metric), op=op, value=limit, model=SMALL, bound="pessimistic"
    )

    assert expected is told(ahead, insight("forecast", metric, at=NOON + HOUR * MINUTE, **fields))
    assert expected is told(other, insight("prediction", metric, subject=SMALL, **fields))


def test_a_value_is_expected_whichever_way_it_goes() -> None:
    found = forecast(1, 200.0, direction="inconclusive")

    assert told(replace(FORECAST, ahead_s=1800), found) is True
    assert told(replace(FORECAST, ahead_s=1800), replace(found, value=float("nan"))) is None


@pytest.mark.parametrize(("far", "expected"), [(110.0, False), (130.0, None)])
def test_between_two_forecasts_that_say_no_there_is_none_that_says_yes(
    far: float, *, expected: bool | None
) -> None:
    leaf = replace(FORECAST, ahead_s=12 * 3600)

    assert expected is told(leaf, forecast(6, 110.0), forecast(24, far))


def test_a_prediction_is_of_its_model() -> None:
    assert told(PREDICTION, insight("prediction", subject=SMALL)) is True
    assert told(PREDICTION, insight("prediction", subject=SMALL, value=900.0)) is False
    assert told(PREDICTION, insight("prediction", subject=MID)) is None


def test_only_what_is_asked_for_is_remembered() -> None:
    world = World(ask(TREND))
    world.feed(
        insight("trend"),
        insight("trend", "quality"),
        insight("trend", window="24h"),
        insight("forecast"),
        insight("prediction", "quality", subject=MID),
        insight("prediction", "requests", subject=MID),
        insight("prediction", "quality", subject="three/unknown"),
    )

    assert {"trend|p95_latency_ms|1h", "prediction|quality|1h"} == {
        id_.removeprefix(f"{SCOPE}|") for id_ in world.state.scopes[SCOPE].findings
    }


def test_what_nothing_asks_for_any_more_is_forgotten() -> None:
    world = World(ask(TREND))
    world.feed(insight("trend"))
    world.policy = ask(CHANGE)
    world.feed(insight("forecast"))

    assert {} == world.state.scopes[SCOPE].findings


def test_an_insight_that_nothing_asks_for_leaves_the_scope_as_it_was() -> None:
    world = World(ask(TREND))
    world.feed(*minute(0))
    before = world.state.scopes[SCOPE]
    world.feed(insight("forecast"))

    assert world.state.scopes[SCOPE] is before
    assert world.last is not None
    assert {} == world.last.changes
