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
from processors.detect.noise import independent, noise
from processors.detect.past import Ints, natural, scaled, scales
from processors.detect.policy import DetectPolicy
from processors.detect.publish import publish
from processors.detect.state import Detector
from processors.detect.tell import Seen, say, speak
from processors.reading import observations, read
from schemas.anomaly import Anomaly
from schemas.window import EnrichedWindow


class One(NamedTuple):
    """A pooled window, and what is known of its scope, fitted to the policy."""

    detector: Detector
    row: EnrichedWindow


class _Judged(NamedTuple):
    """What was found of the values of a wave that could be judged."""

    at: Ints  # [N], scope × metric
    new: Arrived
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
    at, values = _enough(policy, wave)
    counts["judged"] += len(at)
    counts["unjudged"] += len(rows) - len(at)
    some = rows if len(at) == len(rows) else rows[at]
    new = _arrived(policy, wave, at, values)
    found = learn(policy, every.at(at % size), some, new)
    after, told = _tell(policy, wave, _Judged(at, new, some, found), counts)
    if some is not rows:
        rows[at] = some
    limits = np.array([one.detector.limits or (0.0,) * size for one in wave]).reshape(-1)
    known = natural(every.at(at % size), found.past.center)
    limits[at] = np.where(found.past.samples >= policy.minimum, known, 0.0)
    out = np.zeros(len(rows), np.bool_)
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


def _enough(policy: DetectPolicy, wave: Sequence[One]) -> tuple[Ints, list[float]]:
    """Which of scopes × metrics have a value of enough observations, and the values."""
    at, values = [], []
    for n, one in enumerate(wave):
        for which, watch in enumerate(policy.watches):
            value = read(one.row, watch.metric)
            if value is not None and observations(one.row, watch.metric) >= watch.enough:
                at.append(n * len(policy.watches) + which)
                values.append(value)
    return np.array(at, np.int64), values


def _arrived(
    policy: DetectPolicy, wave: Sequence[One], at: Ints, values: Sequence[float]
) -> Arrived:
    """The values of scopes × metrics *at*, with what else there is to know of them."""
    places = [divmod(i, len(policy.watches)) for i in at.tolist()]
    weights = [independent(wave[n].row, policy.watches[which].metric) for n, which in places]
    noises = [noise(wave[n].row, policy.watches[which]) for n, which in places]
    starts = np.array([one.row.window.start for one in wave], np.int64)
    moved = np.array([moving(one.detector, one.row.window) for one in wave])
    scope = at // len(policy.watches)
    return Arrived(
        starts[scope],
        np.array(values, np.float64),
        np.array(weights, np.float64),
        np.array(noises, np.float64),
        moved[scope],
    )


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
        new = judged.new
        x = float(scaled(scale, new.values[i : i + 1])[0])
        seen = Seen(float(new.values[i]), x, float(new.weights[i]), float(new.noise[i]))
        anomaly = say(policy, (scale, policy.watches[which].metric), window, slot, seen)
        after[n], anomaly = publish(policy, after[n], which, anomaly, reason)
        counts["anomalies" if anomaly.is_anomaly else "suppressed"] += 1
        told[n].append(anomaly)
    return after, told
