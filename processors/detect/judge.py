"""New values, many series at once, each against the past of its own; then they become past."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from processors.detect import usual
from processors.detect.layout import JUDGED, NEVER, Rows, ensemble, push, put_ensemble
from processors.detect.past import (
    Bools,
    Floats,
    Ints,
    Past,
    Scales,
    badness,
    deviation,
    scaled,
    sigma,
    summarize,
)
from processors.detect.policy import DetectPolicy, rung_of
from processors.detect.pooled import Together, together
from processors.detect.series import State, update
from schemas.window import MINUTE

ROBUST, ENSEMBLE, POOLED = range(3)  # what tells: places in processors.detect.tell.DETECTORS
STEPS = 12  # of the search for where the ensemble begins to tell
HABIT = 0.25  # σ by which the time of the day may be unusual, for a sum of several minutes
ROUNDED = 0.999  # by more than a float16 loses: the same value again is told again


class Arrived(NamedTuple):
    """Values of new windows; all [N]."""

    starts: Ints  # ms
    values: Floats  # in the metrics' own units
    weights: Floats  # independent observations behind each
    noise: Floats  # their standard errors by themselves, on the metrics' scales
    moved: Bools  # the optimizer has just changed what answers


class Found(NamedTuple):
    """What was found of N values; all [N]. Those without a past have nothing to be told of."""

    past: Past
    z: Floats  # signed σ
    score: Floats  # of the ensemble, where it is heard; else 0
    rung: Ints  # how severe, NEVER when it is usual
    edge: Floats  # σ from which the ensemble tells; 0 where it does not
    sums: Together
    by: Ints  # what tells it: the robust z if it does, else whatever says the most


def learn(policy: DetectPolicy, scale: Scales, rows: Rows, new: Arrived) -> Found:
    """Judge the values of new windows, and let them become part of the past.

    What lies more than `clip` σ out enters the past at that distance: an outage does not become
    the norm at once, a level that stays does within about half the history. After a move of the
    optimizer's own the level is another for good: values enter as they are.

    Args:
        policy: When what is told.
        scale: Of N series.
        rows: [N], changed in place.
        new: What they have to learn.
    """
    x, counts = scaled(scale, new.values), rows["count"].astype(np.int64)
    usually = rows["weight"].astype(np.float64)
    plain = summarize(scale, rows["past"], np.exp(usually), counts)
    ready = counts >= policy.minimum
    low, high = usual.expect(rows, new.starts, plain.spread)
    past = plain._replace(center=plain.center + (low + high) / 2, slack=(high - low) / 2)
    sigmas = sigma(scale, past, new.weights, new.noise)
    z = np.where(ready, deviation(past, x, sigmas, policy.cap), 0.0)
    score, edge = _listen(policy, scale, rows, z, ready & scale.novel)
    # At a time of the day that is known to be unusual the rest is known less well.
    sure = scale.summed & ~new.moved & (np.maximum(-low, high) <= HABIT * sigmas)
    sums = together(policy, scale, rows, new.starts, np.where(sure, z, np.nan))
    robust = rung_of(policy, badness(scale, z))
    rung, by = loudest(robust, heard(policy, score), rung_of(policy, sums.sums))
    found = Found(past, z, score, rung, edge, sums, by)
    reach = past.slack + policy.clip * sigmas
    clipped = np.clip(x, past.center - reach, past.center + reach)
    push(rows, "past", np.where(ready & ~new.moved, clipped, x))
    rows["count"] = counts = np.minimum(counts + 1, policy.history)
    rows["weight"] = usually + (np.log(np.maximum(new.weights, 1.0)) - usually) / counts
    daily = np.flatnonzero(ready & ~new.moved)
    most = policy.cap * plain.spread
    away = np.clip(x - plain.center, -most, most)
    usual.learn(rows, daily, new.starts[daily], away[daily], policy.daily)
    evidence = np.where(sure & (robust < 0), z, np.nan)
    _remember(rows, np.flatnonzero(ready), new.starts, found, evidence)
    return found


def loudest(robust: Ints, ensemble: Ints, pooled: Ints) -> tuple[Ints, Ints]:
    """The highest rung, and whose it is: the robust z's if that tells at all."""
    rung = np.maximum(np.maximum(robust, ensemble), pooled)
    other = np.where(ensemble >= pooled, ENSEMBLE, POOLED)
    return rung, np.where((rung < 0) | (robust >= 0), ROBUST, other)


def heard(policy: DetectPolicy, score: Floats) -> Ints:
    """The rung of what the ensemble tells; 0 and 1, as the value itself need not be far out."""
    return np.where(score > 0, (score >= policy.second_score).astype(np.int64), NEVER)


def _listen(
    policy: DetectPolicy, scale: Scales, rows: Rows, z: Floats, ready: Bools
) -> tuple[Floats, Floats]:
    """What the ensemble makes of the deviations, and from which σ on it would have told them.

    It is shown the side that is bad: what goes well is 0, and no reason to find the next bad value
    less new. It is shown the square root, so that tails are light to it.
    """
    score, edge = np.zeros(len(rows)), np.zeros(len(rows))
    at = np.flatnonzero(ready)
    if not at.size:
        return score, edge
    some = rows if at.size == len(rows) else rows[at]
    bad = np.maximum(badness(scale.at(at), z[at]), 0.0)
    before = ensemble(some)
    scores, after = update(policy.ensemble, before, np.sqrt(bad))
    told = np.flatnonzero((scores >= policy.first_score) & (bad >= policy.heard))
    if told.size:
        score[at[told]] = scores[told]
        edge[at[told]] = _edge(policy, ensemble(some[told]), bad[told])
    put_ensemble(some, after)
    if some is not rows:
        rows[at] = some
    return score, edge


def _edge(policy: DetectPolicy, before: State, high: Floats) -> Floats:
    """The least σ that the ensemble would have told, by halving [heard, what it told]."""
    low = np.full(len(high), policy.heard)
    for _ in range(STEPS):
        middle = (low + high) / 2
        scores, _ = update(policy.ensemble, before, np.sqrt(middle))
        enough = scores >= policy.first_score
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def _remember(rows: Rows, at: Ints, starts: Ints, found: Found, evidence: Floats) -> None:
    """Keep the judgements of the series *at*, for revisions of their windows and for sums."""
    new = np.zeros(len(at), JUDGED)
    new["minute"], new["rung"] = starts[at] // MINUTE, found.rung[at]
    new["center"], new["slack"] = found.past.center[at], found.past.slack[at]
    new["spread"], new["weight"] = found.past.spread[at], found.past.weight[at]
    new["edge"], new["score"] = found.edge[at], found.score[at]
    new["samples"], new["by"] = found.past.samples[at], found.by[at]
    new["z"] = evidence[at]
    new["sum"] = found.sums.sums[at] / ROUNDED
    new["rest"] = ROUNDED * found.sums.rest[at]
    if len(at) == len(rows):
        push(rows, "judged", new)
        return
    some = rows[at]
    push(some, "judged", new)
    rows[at] = some
