"""Score each closed minute of a scope against its own past; publish the anomalies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from processors.detect.judge import learn, revise, weight_of
from processors.detect.policy import DetectPolicy
from processors.detect.state import Detector, DetectState, Series
from processors.reading import read
from schemas.anomaly import Anomaly
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.topics import ANOMALIES
from schemas.window import EnrichedWindow


def step(
    policy: DetectPolicy, state: DetectState, inputs: Sequence[Input], moment: Moment
) -> Outcome[DetectState]:
    """Judge the pooled, closed 1-minute windows among *inputs*.

    Args:
        policy: What is watched, and when it is said.
        state: All scopes of the partition.
        inputs: `EnrichedWindow` records; other rows and sizes pass by.
        moment: Only its partition is used.

    Returns:
        Anomalies and their withdrawals; one change per scope that was judged; counts `judged`,
        `unjudged` (no value, or too thin), `anomalies`, `withdrawn`.
    """
    scopes = dict(state.scopes)
    counts: Counter[str] = Counter()
    emits: list[Emit] = []
    touched: set[str] = set()
    for record in inputs:
        row = record.value
        if not isinstance(row, EnrichedWindow) or not _counts(row):
            continue
        scope = row.window.scope
        before = scopes.get(scope, Detector(scope=scope))
        after, found = judge(policy, before, row, counts)
        if after is not before:
            scopes[scope] = after
            touched.add(scope)
        emits += [Emit(ANOMALIES.name, scope, a, partition=moment.partition) for a in found]
    return Outcome(
        DetectState(scopes) if touched else state,
        emits=tuple(emits),
        changes={scope: scopes[scope] for scope in sorted(touched)},
        counts=dict(sorted(counts.items())),
    )


def judge(
    policy: DetectPolicy, detector: Detector, row: EnrichedWindow, counts: Counter[str]
) -> tuple[Detector, list[Anomaly]]:
    """One window of a scope: each watched metric learns it, or revises what it said of it."""
    new = row.window.start > detector.newest
    series = dict(detector.series)
    found: list[Anomaly] = []
    for watch in policy.watches:
        value = read(row, watch.metric)
        before = series.get(watch.metric, Series())
        if new:
            thin = value is None or weight_of(row, watch.metric) < watch.enough
            counts["unjudged" if thin else "judged"] += 1
            if thin or value is None:
                continue
            after, anomaly = learn(policy, watch, before, row, value)
        else:
            after, anomaly = revise(policy, watch, before, row, value)
        if after is not before:
            series[str(watch.metric)] = after
        if anomaly is not None:
            counts["anomalies" if anomaly.is_anomaly else "withdrawn"] += 1
            found.append(anomaly)
    if new:
        return replace(detector, newest=row.window.start, series=series), found
    return (replace(detector, series=series) if found else detector), found


def _counts(row: EnrichedWindow) -> bool:
    return row.window.pooled and row.window.closed and row.window.window == "1m"
