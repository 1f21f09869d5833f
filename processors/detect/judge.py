"""One new value, or one revised, against the past of its series."""

from __future__ import annotations

from dataclasses import replace

from processors.detect.past import badness, confidence, deviation, natural, scaled, sigma, summarize
from processors.detect.policy import DetectPolicy, Watch, severity_of
from processors.detect.state import Judged, Series
from schemas.anomaly import Anomaly, Severity
from schemas.catalog import Metric
from schemas.window import EnrichedWindow, WindowAggregate

RANK = {severity: rank for rank, severity in enumerate(Severity)}
DETECTOR = "robust_z"


def weight_of(row: EnrichedWindow, metric: Metric) -> int:
    """How many observations are behind the value of *metric*."""
    scores = row.window.metrics.get("quality")
    if metric is Metric.QUALITY:
        return 0 if scores is None else scores.count
    return row.window.requests


def learn(
    policy: DetectPolicy, watch: Watch, series: Series, row: EnrichedWindow, value: float
) -> tuple[Series, Anomaly | None]:
    """Judge the value of a new window, then let it become part of the past.

    What lies more than `clip` σ out enters the past at that distance: an outage does not become
    the norm at once, a level that stays does within about half the history.
    """
    window, weight = row.window, weight_of(row, watch.metric)
    kept = tuple(j for j in series.judged if window.start - j.start < policy.memory_ms)
    anomaly: Anomaly | None = None
    learnt = x = scaled(watch, value)
    if len(series.values) >= policy.minimum:
        past = summarize(watch, series.values, series.weights)
        z = deviation(policy, watch, past, x, weight)
        reach = policy.clip * sigma(watch, past, weight)
        learnt = max(past.median - reach, min(past.median + reach, x))
        severity = severity_of(policy, badness(watch, z))
        if severity is not None and _may_speak(policy, series, window.start, severity):
            series = replace(series, spoken_at=window.start, spoken=severity)
        else:
            severity = None  # within the quiet time
        kept = (*kept, Judged(window.start, past, severity))
        if severity is not None:
            anomaly = _anomaly(policy, watch, window, kept[-1], (value, weight))
    series = replace(
        series,
        values=(*series.values, learnt)[-policy.history :],
        weights=(*series.weights, weight)[-policy.history :],
        judged=kept,
    )
    return series, anomaly


def revise(
    policy: DetectPolicy, watch: Watch, series: Series, row: EnrichedWindow, value: float | None
) -> tuple[Series, Anomaly | None]:
    """Judge a window again, by the past that it was judged by.

    An anomaly that is none any more, or cannot be told any more, is withdrawn; one that still is
    is published as revised; one that only shows now is published unless the series is quiet. The
    past keeps the value that it learnt first.
    """
    window = row.window
    found = next((j for j in series.judged if j.start == window.start), None)
    if found is None:
        return series, None
    weight = weight_of(row, watch.metric)
    severity: Severity | None = None
    if value is not None and weight > 0:
        z = deviation(policy, watch, found.past, scaled(watch, value), weight)
        severity = severity_of(policy, badness(watch, z))
    if found.severity is None:
        if severity is None or not _may_speak(policy, series, window.start, severity):
            return series, None
        series = replace(series, spoken_at=window.start, spoken=severity)
    judged = found._replace(severity=severity)
    series = replace(
        series, judged=tuple(judged if j.start == window.start else j for j in series.judged)
    )
    shown = judged if severity is not None else found
    seen = natural(watch, found.past.median) if value is None else value
    anomaly = _anomaly(policy, watch, window, shown, (seen, max(weight, 1)))
    return series, replace(anomaly, is_anomaly=severity is not None)


def _may_speak(policy: DetectPolicy, series: Series, start: int, severity: Severity) -> bool:
    """An alarm is repeated after the quiet time only, or when it got more severe."""
    if series.spoken_at is None or series.spoken is None:
        return True
    return abs(start - series.spoken_at) >= policy.quiet_ms or RANK[severity] > RANK[series.spoken]


def _anomaly(
    policy: DetectPolicy,
    watch: Watch,
    window: WindowAggregate,
    judged: Judged,
    seen: tuple[float, int],
) -> Anomaly:
    past, (value, weight) = judged.past, seen
    z = deviation(policy, watch, past, scaled(watch, value), weight)
    reach = policy.ladder[0] * sigma(watch, past, weight)
    return Anomaly(
        id=f"{window.scope}|{watch.metric}|{window.start}",
        scope=window.scope,
        metric=str(watch.metric),
        window=window.window,
        start=window.start,
        end=window.end,
        revision=window.revision,
        is_anomaly=True,
        severity=judged.severity or Severity.LOW,
        confidence=confidence(z),
        actual=value,
        expected=natural(watch, past.median),
        expected_low=natural(watch, past.median - reach),
        expected_high=natural(watch, past.median + reach),
        deviation=z,
        detector=DETECTOR,
        samples=past.samples,
    )
