"""A window that was judged, and looks different now."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from processors.detect.layout import NEVER, Rows, closed, opened
from processors.detect.moves import why
from processors.detect.noise import independent, noise
from processors.detect.past import Scales, natural, scaled, scales
from processors.detect.policy import DetectPolicy, Watch
from processors.detect.publish import publish, publish_again
from processors.detect.state import Detector
from processors.detect.tell import Seen, judge_again, say, speak
from processors.reading import observations, read
from schemas.anomaly import Anomaly
from schemas.window import MINUTE, EnrichedWindow


def revise(
    policy: DetectPolicy, detector: Detector, row: EnrichedWindow, counts: Counter[str]
) -> tuple[Detector, list[Anomaly]]:
    """Judge a window again, by the past that it was judged by.

    An anomaly that is none any more, or cannot be told any more, is withdrawn; one that still is
    is published as revised; one that only shows now is published unless the series is quiet. The
    past keeps the value that it learnt first.

    Args:
        policy: When what is told.
        detector: Of the scope, fitted to the policy.
        row: Its pooled window.
        counts: Added to: anomalies, withdrawn, suppressed.

    Returns:
        The scope, itself where nothing is to be published, and what is.
    """
    rows, told = opened([detector.packed]), list[Anomaly]()
    at = np.argwhere(rows["judged"]["minute"] == row.window.start // MINUTE)
    for which, slot in at.tolist():
        detector, anomaly = _again(policy, detector, row, (rows, which, slot))
        if anomaly is not None:
            kind = "suppressed" if anomaly.suppressed else "withdrawn"
            counts["anomalies" if anomaly.is_anomaly else kind] += 1
            told.append(anomaly)
    if told:
        detector = replace(detector, packed=closed(rows, len(policy.watches))[0])
    return detector, told


def _again(
    policy: DetectPolicy, detector: Detector, row: EnrichedWindow, place: tuple[Rows, int, int]
) -> tuple[Detector, Anomaly | None]:
    """The judgement of one metric at *place*: rows, which of them, and which slot."""
    rows, which, slot = place
    watch, scale = policy.watches[which], scales(policy.watches).at(np.array([which]))
    judged, reason = rows["judged"][which, slot], why(policy, detector, row.window)
    before, rung = int(judged["rung"]), NEVER
    seen = _seen(row, watch, scale)
    if seen is not None:
        rung, by = judge_again(policy, scale, judged, seen)
        judged["by"] = by if rung != NEVER else judged["by"]
    start = row.window.start
    if before == NEVER and (
        rung == NEVER or not speak(policy, rows, which, start, rung, hush=bool(reason))
    ):
        return detector, None
    judged["rung"] = before if rung == NEVER else rung
    if seen is None:
        center = float(judged["center"])
        seen = Seen(float(natural(scale, np.array([center]))[0]), center, 1.0, 0.0)
    anomaly = say(policy, (scale, watch.metric), row.window, judged, seen)
    judged["rung"] = rung
    if before == NEVER:
        return publish(policy, detector, which, anomaly, reason)
    return detector, publish_again(detector, replace(anomaly, is_anomaly=rung != NEVER))


def _seen(row: EnrichedWindow, watch: Watch, scale: Scales) -> Seen | None:
    """What the window says of a metric now; None when it says nothing."""
    value = read(row, watch.metric)
    if value is None or observations(row, watch.metric) <= 0:
        return None
    x = float(scaled(scale, np.array([value]))[0])
    return Seen(value, x, independent(row, watch.metric), noise(row, watch))
