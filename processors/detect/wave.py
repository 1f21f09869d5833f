"""New windows of many scopes, one of each, judged at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from processors.detect import keys
from processors.detect.judge import Arrived, Found, learn
from processors.detect.layout import NEVER, Rows, closed, opened
from processors.detect.moves import moving, over, why
from processors.detect.past import Floats, Ints, natural, scaled, scales
from processors.detect.policy import DetectPolicy
from processors.detect.publish import publish
from processors.detect.state import Detector
from processors.detect.tell import Seen, say, speak, weight_of
from processors.reading import read
from schemas.anomaly import Anomaly
from schemas.window import EnrichedWindow


class One(NamedTuple):
    """A pooled window, and what is known of its scope, fitted to the policy."""

    detector: Detector
    row: EnrichedWindow


class _Judged(NamedTuple):
    """What was found of the values of a wave that could be judged."""

    at: Ints  # [N], scope × metric
    values: Floats  # [N]
    weights: Floats  # [N]
    rows: Rows  # [N]
    found: Found


def judge(
    policy: DetectPolicy, wave: Sequence[One], counts: Counter[str]
) -> tuple[list[Detector], list[list[Anomaly]]]:
    """Each watched metric is judged and learnt.

    Args:
        policy: What is watched, and when it is told.
        wave: Some, at most one of a scope, each newer than what its scope has seen.
        counts: Added to: judged, unjudged (no value, or too thin), anomalies, suppressed.

    Returns:
        The scopes afterwards, in the order of *wave*, and what is to be published of each.
    """
    size, every = len(policy.watches), scales(policy.watches)
    rows = opened([one.detector.packed for one in wave])
    values, weights = _read(policy, wave)
    enough = ~np.isnan(values) & (weights >= np.tile(every.enough, len(wave)))
    at = np.flatnonzero(enough)
    counts["judged"] += len(at)
    counts["unjudged"] += len(values) - len(at)
    some = rows if len(at) == len(rows) else rows[at]
    starts = np.array([one.row.window.start for one in wave], np.int64)
    moved = np.array([moving(one.detector, one.row.window) for one in wave])
    new = Arrived(starts[at // size], values[at], weights[at], moved[at // size])
    found = learn(policy, every.at(at % size), some, new)
    after, told = _tell(policy, wave, _Judged(at, values[at], weights[at], some, found), counts)
    if some is not rows:
        rows[at] = some
    limits = np.array([one.detector.limits or (0.0,) * size for one in wave]).reshape(-1)
    known = natural(every.at(at % size), found.past.center)
    limits[at] = np.where(found.past.samples >= policy.minimum, known, 0.0)
    out = np.zeros(len(values), np.bool_)
    out[at] = found.rung != NEVER
    plain = zip(limits.reshape(-1, size).tolist(), out.reshape(-1, size).tolist(), strict=True)
    packed = closed(rows, size)
    return [
        replace(
            detector,
            newest=one.row.window.start,
            packed=packed[n],
            limits=tuple(limit),
            keys=keys.fold(policy, detector.keys, one.row.window.start, odd),
            told=tuple(t for t in detector.told if _revisable(policy, t.start, one.row)),
            moves=over(policy, detector.moves, one.row.window.start),
        )
        for n, (one, detector, (limit, odd)) in enumerate(zip(wave, after, plain, strict=True))
    ], told


def _read(policy: DetectPolicy, wave: Sequence[One]) -> tuple[Floats, Floats]:
    """Values and the observations behind them [scopes × metrics]; NaN where there is none."""
    values = [read(one.row, watch.metric) for one in wave for watch in policy.watches]
    weights = [weight_of(one.row, watch.metric) for one in wave for watch in policy.watches]
    return np.array(values, np.float64), np.array(weights, np.float64)


def _revisable(policy: DetectPolicy, start: int, row: EnrichedWindow) -> bool:
    return row.window.start - start < policy.memory_ms


def _tell(
    policy: DetectPolicy, wave: Sequence[One], judged: _Judged, counts: Counter[str]
) -> tuple[list[Detector], list[list[Anomaly]]]:
    """What is to be said of values that are unusual; the rest is nearly all, and has no loop."""
    after = [one.detector for one in wave]
    told: list[list[Anomaly]] = [[] for _ in wave]
    every = scales(policy.watches)
    for i in np.flatnonzero(judged.found.rung != NEVER).tolist():
        n, which = divmod(int(judged.at[i]), len(policy.watches))
        window, slot = wave[n].row.window, judged.rows["judged"][i, -1]
        reason = why(policy, after[n], window)
        rung = int(slot["rung"])
        if not speak(policy, judged.rows, i, window.start, rung, hush=bool(reason)):
            slot["rung"] = NEVER
            continue
        scale = every.at(np.array([which]))
        x = float(scaled(scale, judged.values[i : i + 1])[0])
        seen = Seen(float(judged.values[i]), x, int(judged.weights[i]))
        anomaly = say(policy, (scale, policy.watches[which].metric), window, slot, seen)
        after[n], anomaly = publish(policy, after[n], which, anomaly, reason)
        counts["anomalies" if anomaly.is_anomaly else "suppressed"] += 1
        told[n].append(anomaly)
    return after, told
