from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.detect import ENTRY, DetectPolicy, fresh, restore, step
from processors.detect.policy import WATCHES, Watch
from schemas.anomaly import Severity
from schemas.catalog import Metric
from schemas.codec import pack, unpack
from schemas.flow import Input
from schemas.topics import ANOMALIES, ENRICHED
from tests.processors.detect.watching import MOMENT, POLICY, calm, minute, run, series


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"latency": 250.0}, "p95_latency_ms"),
        ({"errors": 30}, "error_rate"),
        ({"cost": 0.03}, "cost_per_request_usd"),
        ({"quality": 60.0}, "quality"),
    ],
)
def test_what_is_far_worse_than_its_past_is_an_anomaly(change: dict[str, Any], metric: str) -> None:
    _, anomalies = run([*calm(60), minute(60, **change)])

    assert [metric] == [anomaly.metric for anomaly in anomalies]
    (anomaly,) = anomalies
    assert f"search/answer|{metric}|3600000" == anomaly.id
    assert anomaly.severity in (Severity.HIGH, Severity.CRITICAL)
    assert anomaly.is_anomaly
    assert not anomaly.expected_low <= anomaly.actual <= anomaly.expected_high
    assert (60, 3_600_000, 3_660_000) == (anomaly.samples, anomaly.start, anomaly.end)


@pytest.mark.parametrize(
    "change", [{"latency": 1.0}, {"errors": 0}, {"cost": 0.0}, {"quality": 100.0}]
)
def test_what_is_far_better_than_its_past_is_no_alarm(change: dict[str, Any]) -> None:
    assert [] == run([*calm(60), minute(60, **change)])[1]


def test_a_watch_on_both_sides_also_tells_the_better() -> None:
    both = Watch(metric=Metric.P95_LATENCY_MS, bad="both", enough=20, floor=0.05)
    _, anomalies = run([*calm(60), minute(60, latency=10.0)], DetectPolicy(watches=(both,)))

    assert [True] == [anomaly.deviation < 0 for anomaly in anomalies]


def test_nothing_is_judged_before_there_is_a_past() -> None:
    assert [] == run([*calm(19), minute(19, latency=9000.0)])[1]
    assert 1 == len(run([*calm(20), minute(20, latency=9000.0)])[1])


def test_a_metric_without_a_value_is_not_judged_and_not_zero() -> None:
    state, anomalies = run([*calm(60), minute(60, latency=None, cost=None, quality=None)])

    assert [] == anomalies
    assert (series(state, "quality")["past"] > 0).all()


def test_a_window_of_few_requests_is_neither_judged_nor_learnt() -> None:
    policy = DetectPolicy(watches=WATCHES[:4])
    before, _ = run(calm(60), policy)
    after, anomalies = run([minute(60, requests=19, errors=19, scores=4)], policy, before)

    assert [] == anomalies
    assert before.scopes["search/answer"].packed == after.scopes["search/answer"].packed


def test_an_outage_is_told_again_only_after_the_quiet_time() -> None:
    _, anomalies = run([*calm(60), *(minute(60 + n, latency=1000.0) for n in range(7))])

    assert [60, 65] == [anomaly.start // 60_000 for anomaly in anomalies]


def test_an_alarm_that_gets_worse_is_told_at_once() -> None:
    rows = [minute(60, latency=150.0), minute(61, latency=1000.0)]
    _, anomalies = run([*calm(60), *rows])

    assert 2 == len(anomalies)
    assert list(Severity).index(anomalies[0].severity) < list(Severity).index(anomalies[1].severity)


def test_an_outage_does_not_become_the_norm() -> None:
    state, _ = run([*calm(60), *(minute(60 + n, latency=5000.0) for n in range(15))])
    _, anomalies = run([*calm(10, seed=1, first=75), minute(85, latency=5000.0)], state=state)

    assert [85] == [anomaly.start // 60_000 for anomaly in anomalies]


def test_a_new_level_is_learnt_in_the_end() -> None:
    _, anomalies = run([*calm(60), *(minute(60 + n, latency=300.0) for n in range(240))])
    last = max(anomaly.start // 60_000 for anomaly in anomalies)

    assert 60 + 20 < last < 60 + 120


def test_a_revision_that_is_no_anomaly_withdraws_it() -> None:
    state, (first,) = run([*calm(60), minute(60, latency=500.0)])
    state, revised = run([minute(60, latency=101.0, revision=2)], state=state)

    assert [(first.id, 2, False)] == [(a.id, a.revision, a.is_anomaly) for a in revised]
    assert [] == run([minute(60, latency=102.0, revision=3)], state=state)[1]


def test_a_revision_that_still_is_one_is_told_with_its_new_value() -> None:
    state, _ = run([*calm(60), minute(60, latency=500.0)])
    _, revised = run([minute(60, latency=400.0, revision=2)], state=state)

    assert [(400.0, 2, True)] == [(a.actual, a.revision, a.is_anomaly) for a in revised]


def test_a_revision_that_shows_an_anomaly_first_tells_it() -> None:
    state, none = run([*calm(60), *calm(3, seed=1, first=60)])
    _, revised = run([minute(61, latency=900.0, revision=2)], state=state)

    assert [] == none
    assert [(61, True)] == [(a.start // 60_000, a.is_anomaly) for a in revised]


def test_a_revision_without_a_value_withdraws_too() -> None:
    state, _ = run([*calm(60), minute(60, quality=40.0)])
    _, revised = run([minute(60, quality=None, revision=2)], state=state)

    assert [("quality", False)] == [(a.metric, a.is_anomaly) for a in revised]


def test_a_revision_of_what_is_long_past_changes_nothing() -> None:
    state, _ = run(calm(100))
    after, revised = run([minute(60, latency=900.0, revision=2)], state=state)

    assert [] == revised
    assert state is after


def test_only_the_closed_minutes_of_the_whole_scope_are_judged() -> None:
    wild = minute(60, latency=9000.0)
    others = [
        replace(wild, window=replace(wild.window, closed=False)),
        replace(wild, window=replace(wild.window, window="5m")),
    ]
    before, _ = run(calm(60))
    after, anomalies = run(others, state=before)

    assert (before, []) == (after, anomalies)
    assert after is before


@settings(max_examples=10)
@given(st.lists(st.integers(0, 90), max_size=6), st.integers(0, 5))
def test_the_batches_do_not_matter_and_the_changelog_is_the_state(
    cuts: list[int], seed: int
) -> None:
    rows = [
        *calm(45, seed),
        *(minute(45 + n, latency=800.0) for n in range(10)),
        minute(50, latency=90.0, revision=2),
        *calm(34, seed + 1, 55),
    ]
    whole, expected = run(rows)
    state, entries, anomalies = fresh(), {}, []
    bounds = sorted({0, len(rows), *cuts})
    for low, high in pairwise(bounds):
        inputs = [Input(ENRICHED.name, n, rows[n]) for n in range(low, high)]
        outcome = step(POLICY, state, inputs, MOMENT)
        entries |= {key: unpack(ENTRY, pack(entry)) for key, entry in outcome.changes.items()}
        state = restore(entries)
        anomalies += [emit.value for emit in outcome.emits]
        assert outcome.state == state

    assert (whole, expected) == (state, anomalies)


def test_a_series_stays_below_two_kibibytes() -> None:
    state, _ = run([*calm(60), *(minute(60 + n, latency=1e4 + n) for n in range(100))])
    detector = state.scopes["search/answer"]

    assert 2048 * len(detector.metrics) > len(pack(detector))


def test_no_input_leaves_the_state_as_it_is() -> None:
    state, _ = run(calm(3))
    outcome = step(POLICY, state, [], MOMENT)

    assert outcome.state is state
    assert ((), {}, {}) == (outcome.emits, outcome.changes, outcome.counts)


def test_an_anomaly_goes_to_the_partition_of_its_window() -> None:
    inputs = [
        Input(ENRICHED.name, n, row) for n, row in enumerate([*calm(60), minute(60, errors=90)])
    ]
    outcome = step(POLICY, fresh(), inputs, MOMENT)

    assert [(ANOMALIES.name, "search/answer", 2)] == [
        (emit.topic, emit.key, emit.partition) for emit in outcome.emits
    ]
    assert {"anomalies": 1, "judged": 366, "unjudged": 122} == outcome.counts


@pytest.mark.parametrize("requests", [20, 100, 1000])
@pytest.mark.parametrize("rate", [0.0, 0.01, 0.05])
def test_fewer_than_one_in_a_hundred_calm_minutes_are_alarms(requests: int, rate: float) -> None:
    rng = np.random.default_rng(requests)
    rows = [
        minute(
            n,
            latency=float(np.quantile(rng.lognormal(5, 0.6, requests), 0.95)),
            errors=int(rng.binomial(requests, rate)),
            requests=requests,
            cost=float(rng.lognormal(-4, 0.8, requests).mean()),
            quality=float(rng.normal(85, 8, 10).mean()),
        )
        for n in range(1000)
    ]
    _, anomalies = run(rows, replace(POLICY, quiet_ms=0))
    per_metric = {
        watch.metric: sum(a.metric == watch.metric for a in anomalies) / 1000
        for watch in POLICY.watches
    }

    assert max(per_metric.values()) <= 0.01, per_metric
