"""What a scope's past says about it: trends, changes, comparisons, forecasts, predictions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.window import MINUTE, SIZES

FRESH_MS = {"1m": 30 * MINUTE, "1h": 12 * SIZES["1h"], "24h": 3 * SIZES["24h"]}
"""How long after its end an insight is still relied on, by the length of its windows.

Whoever writes insights says those that still hold again before that.
"""


class InsightKind(StrEnum):
    """What an insight is about."""

    TREND = "trend"  # which way a metric goes
    CHANGE_POINT = "change_point"  # where it changed for good
    COMPARISON = "comparison"  # how it compares with a baseline
    FORECAST = "forecast"  # what it will be if nothing is done
    PREDICTION = "prediction"  # what it would be with another config


@dataclass(frozen=True, slots=True, kw_only=True)
class LikelyCause:
    """Something that happened at the time of a change, and how likely it is the cause."""

    kind: str  # such as "rollout"
    id: str
    at: int  # ms, event time
    what: str  # for people
    share: float  # of the belief, 0 to 1; what is left to 1 is that it was none of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Insight:
    """One finding about one metric of one scope; a later revision replaces an earlier one.

    What `value`, `reference` and the range say depends on the kind:

    trend: slope of the metric an hour; its interval; the reference is the median of the span;
    change_point: the level after and before; no range;
    comparison: the mean now and that of the baseline; the range is of their difference;
    forecast: what is expected `at`, and between what; the reference is the newest value;
    prediction: what another config would give, and between what; the reference is the value now.
    """

    id: str  # scope|kind|metric|window, and what tells apart those of one kind
    scope: str
    kind: InsightKind
    metric: str
    window: str  # name of the length of the windows that it is made of
    start: int  # ms, of the first of them
    end: int  # ms, of the last of them, exclusive
    revision: int  # strictly up for an id, also where a stage was reset
    holds: bool  # False withdraws an earlier revision
    at: int  # ms: the first window after a change; the end of the window that is forecast; else end
    direction: str  # improving, degrading, rising, falling, stable or inconclusive
    value: float
    reference: float | None
    low: float | None
    high: float | None
    relative: float | None  # the change by its reference; None where that is 0 or unknown
    p: float | None  # of no change; None where no test was made
    confidence: float  # 0 to 1
    subject: str  # of a comparison its baseline, as "rolling 3"; of a prediction "provider/model"
    causes: tuple[LikelyCause, ...]  # of a change, the likeliest first
    method: str
    samples: int  # windows that it is made of
    sentence: str  # the same in words
