"""From when on it counts how soon something is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bench.seeing import HOURS, MINUTES, Seen, matched, past
from bench.windows import window
from schemas.codec import Codec
from schemas.insight import Insight, InsightKind
from schemas.registry import LocalRegistry
from schemas.topics import AGGREGATES, ANOMALIES, INSIGHTS, Topic
from schemas.window import MINUTE, SIZES

CODEC = Codec(LocalRegistry())
ROW = window(start=0, end=MINUTE)
INSIGHT = Insight(
    id="i",
    scope=ROW.scope,
    kind=InsightKind.FORECAST,
    metric="requests",
    window="1m",
    start=0,
    end=MINUTE,
    revision=1,
    holds=True,
    at=MINUTE,
    direction="stable",
    value=1.0,
    reference=None,
    low=None,
    high=None,
    relative=None,
    p=None,
    confidence=0.9,
    subject="",
    causes=(),
    method="conformal",
    samples=120,
    sentence="",
)


def seen(topic: Topic, records: Mapping[float, object]) -> Seen:
    """Records by when they could be read."""
    return Seen(topic, [(now, CODEC.encode(topic, each)) for now, each in records.items()])


def test_what_is_said_counts_from_the_first_closed_row_of_the_whole_scope(records: Any) -> None:
    anomaly = records.anomaly(scope=ROW.scope, window="1m", end=MINUTE)
    rows = {
        8.0: replace(ROW, closed=False),
        9.0: replace(ROW, model="m", cohort="stable"),
        10.0: ROW,
        12.0: replace(ROW, revision=2),
        13.0: window(start=MINUTE, end=2 * MINUTE),
    }
    found = matched(
        CODEC,
        seen(AGGREGATES, rows),
        seen(ANOMALIES, {10.5: anomaly, 15.0: replace(anomaly, is_anomaly=False)}),
        seen(
            INSIGHTS,
            {
                11.0: INSIGHT,
                11.25: replace(INSIGHT, id="j"),
                14.0: replace(INSIGHT, end=2 * MINUTE),
                20.0: replace(INSIGHT, kind=InsightKind.PREDICTION),
            },
        ),
        until=MINUTE,
    )

    assert {ROW.scope: 0.5} == found.anomalies
    assert {ROW.scope: [pytest.approx(1.25)]} == dict(found.insights["1m"])
    assert {} == dict(found.insights["1h"])


def test_the_past_is_in_order_and_ends_where_the_requests_begin() -> None:
    hour = 200 * SIZES["1h"]
    rows = [each.window for each in past([("s", "a"), ("s", "b")], hour + 56 * MINUTE, hour)]
    hours, minutes = ([each for each in rows if each.window == name] for name in ("1h", "1m"))

    assert (2 * HOURS, 2 * MINUTES) == (len(hours), len(minutes))
    assert (hour, hour + 56 * MINUTE) == (hours[-1].end, minutes[-1].end)
    assert [each.start for each in hours] == sorted(each.start for each in hours)
    assert all(each.closed and each.pooled for each in rows)
