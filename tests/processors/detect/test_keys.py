"""Which key of a scope a change comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from processors.detect import DetectPolicy, fresh, restore, step
from processors.detect.keys import NOTHING, amount, amounts, fold, hints, note
from processors.detect.state import Key
from schemas.anomaly import Anomaly
from schemas.catalog import Metric, Signal
from schemas.codec import pack, unpack
from schemas.window import EnrichedWindow, Histogram
from tests.processors.detect.watching import MOMENT, POLICY, Labels, inputs_of, key, minute, run

KEYS: tuple[Labels, ...] = (
    ("gpt", "openai", "v1", "stable"),
    ("gpt", "openai", "v2", "candidate"),
    ("mini", "openai", "v3", "stable"),
    ("opus", "anthropic", "v4", "stable"),
    ("haiku", "anthropic", "v5", "stable"),
)
EVEN = (False,) * len(POLICY.watches)  # no metric is odd


def scope(
    n: int, rng: np.random.Generator, faults: Mapping[str, float], on: str
) -> list[EnrichedWindow]:
    """A minute of all keys and of the whole scope; the faults are of keys with the value *on*."""
    found = []
    for labels in KEYS:
        own = faults if on in labels else {}
        requests = int(rng.poisson(100)) + 1
        found.append(
            key(
                n,
                labels,
                requests=requests,
                errors=int(rng.binomial(requests, 0.01 + own.get("errors", 0.0))),
                slow=int(rng.binomial(requests, 0.01 + own.get("slow", 0.0))),
                cost=requests * float(rng.lognormal(-4, 0.05)) * own.get("cost", 1.0),
                quality=float(rng.normal(90, 0.3)) - own.get("quality", 0.0),
            )
        )
    windows = [row.window for row in found]
    requests = sum(w.requests for w in windows)
    slow = sum(w.metrics["latency_ms"].histogram.counts[1] for w in windows)
    pooled = minute(
        n,
        requests=requests,
        errors=sum(w.errors for w in windows),
        latency=100.0 if slow < 0.05 * requests else 4_000.0,
        cost=sum(row.cost_usd or 0.0 for row in found) / requests,
        quality=sum(w.metrics["quality"].sum for w in windows) / requests,
        scores=requests,
    )
    return [*found, pooled]


def told(seed: int, faults: Mapping[str, float], on: str) -> list[Anomaly]:
    """What is said of a minute of faults after forty healthy ones."""
    rng = np.random.default_rng(seed)
    rows = [row for n in range(40) for row in scope(n, rng, {}, "")]
    state, _ = run(rows)
    return run(scope(40, rng, faults, on), state=state)[1]


@pytest.mark.parametrize(
    ("faults", "metric"),
    [
        ({"slow": 0.5}, "p95_latency_ms"),
        ({"errors": 0.3}, "error_rate"),
        ({"cost": 3.0}, "cost_per_request_usd"),
        ({"quality": 30.0}, "quality"),
    ],
)
@pytest.mark.parametrize(
    ("value", "guilty"),
    [
        ("gpt", {"model gpt"}),
        ("anthropic", {"provider anthropic"}),
        # A version that has a cohort, or a model, for itself is as guilty as that.
        ("v2", {"version v2", "cohort candidate"}),
        ("haiku", {"model haiku", "version v5"}),
    ],
)
def test_the_guilty_value_is_first_in_nine_of_ten_faults(
    faults: Mapping[str, float], metric: str, value: str, guilty: set[str]
) -> None:
    first = [
        anomaly.causes[0]
        for seed in range(10)
        for anomaly in told(seed, faults, value)
        if anomaly.metric == metric
    ]

    assert len(first) == 10
    assert 9 <= sum(f"{cause.dimension} {cause.value}" in guilty for cause in first)
    assert all(cause.share > 0.8 for cause in first)


def test_hints_are_few_and_their_strength_falls() -> None:
    (anomaly,) = told(0, {"errors": 0.3}, "gpt")
    strengths = [cause.strength for cause in anomaly.causes]

    assert sorted(strengths, reverse=True) == strengths
    assert 0 < len(strengths) <= POLICY.hints
    assert all(0 < strength <= 1 for strength in strengths)


def test_a_scope_of_one_key_has_no_hints() -> None:
    rows = [row for n in range(40) for row in (key(n, KEYS[0], errors=1), minute(n))]
    _, (anomaly,) = run([*rows, key(40, KEYS[0], errors=60), minute(40, errors=60)])

    assert () == anomaly.causes


def test_keys_that_are_not_there_now_or_before_have_no_hints() -> None:
    now = note(POLICY, note(POLICY, (), key(0, KEYS[0], errors=9), ()), key(0, KEYS[1]), ())
    past = fold(POLICY, now, 0, EVEN)

    assert () == hints(POLICY, now, 0, 1)
    assert () == hints(POLICY, past, 60_000, 1)


def test_batches_may_end_between_the_keys_and_their_pooled_row() -> None:
    rng = np.random.default_rng(0)
    rows = [row for n in range(30) for row in scope(n, rng, {}, "")]
    rows += scope(30, rng, {"errors": 0.3}, "gpt")
    whole, state, anomalies = run(rows), fresh(), list[Anomaly]()
    for row in rows:
        outcome = step(POLICY, state, inputs_of([row]), MOMENT)
        kept = {name: unpack(type(each), pack(each)) for name, each in outcome.changes.items()}
        state = restore({**outcome.state.scopes, **kept})
        anomalies += [emit.value for emit in outcome.emits]

    assert whole == (state, anomalies)
    assert anomalies[0].causes


def test_a_revision_of_an_anomaly_keeps_its_hints_and_its_incident() -> None:
    rng = np.random.default_rng(0)
    state, _ = run([row for n in range(40) for row in scope(n, rng, {}, "")])
    state, (first,) = run(scope(40, rng, {"errors": 0.3}, "gpt"), state=state)
    revised = scope(40, rng, {"errors": 0.25}, "gpt")
    rows = [replace(row, window=replace(row.window, revision=2)) for row in revised]
    _, (second,) = run(rows, state=state)

    assert (2, first.causes, first.incident) == (second.revision, second.causes, second.incident)


def test_what_an_outage_did_to_a_key_does_not_become_its_past() -> None:
    rng = np.random.default_rng(0)
    rows = [row for n in range(40) for row in scope(n, rng, {}, "")]
    _, anomalies = run(
        [*rows, *(r for n in range(40, 56) for r in scope(n, rng, {"errors": 0.3}, "gpt"))]
    )
    guilty = {(a.causes[0].dimension, a.causes[0].value) for a in anomalies}

    assert {("model", "gpt")} == guilty
    assert len(anomalies) > 2


def test_a_shadow_serves_nobody_and_is_no_cause() -> None:
    assert () == note(POLICY, (), key(0, ("gpt", "openai", "v1", "shadow")), ())


def test_of_many_keys_those_that_are_asked_most_are_known() -> None:
    policy, keys = DetectPolicy(keys=3), tuple[Key, ...]()
    for n in range(9):
        keys = note(policy, keys, key(0, (f"m{n}", "p", "v", "c"), requests=10 + n), ())

    assert [f"m{n}" for n in range(6)] == [each.labels[0] for each in keys]
    assert ["m3", "m4", "m5"] == [each.labels[0] for each in fold(policy, keys, 0, EVEN)]


def test_a_key_that_has_been_silent_for_long_is_forgotten() -> None:
    keys = note(POLICY, (), key(0, KEYS[0]), ())
    for n in range(300):
        keys = fold(POLICY, keys, n * 60_000, EVEN)

    assert () == keys


def test_a_fading_past_is_the_sum_of_what_was_by_its_age() -> None:
    policy, keys = DetectPolicy(half=1.0), tuple[Key, ...]()
    for n, errors in enumerate((8, 4, 2)):
        keys = fold(
            policy, note(policy, keys, key(n, KEYS[0], errors=errors), ()), n * 60_000, EVEN
        )

    assert (6.0, 175.0) == amounts(len(POLICY.watches)).unpack(keys[0].past)[2:4]


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (Metric.P95_LATENCY_MS, (7.0, 50.0)),
        (Metric.ERROR_RATE, (3.0, 50.0)),
        (Metric.TIMEOUT_RATE, (0.0, 50.0)),
        (Metric.COST_PER_REQUEST_USD, (2.0, 50.0)),
        (Metric.COST_PER_HOUR_USD, (2.0, 50.0)),
        (Metric.QUALITY, (4_500.0, 50.0)),
        (Metric.REQUESTS, NOTHING),
        (Metric.P50_LATENCY_MS, (7.0, 50.0)),
        (Signal.P95_TTFT_MS, NOTHING),
        (Signal.CACHED_SHARE, NOTHING),
    ],
)
def test_a_metric_is_the_ratio_of_these(
    metric: Metric | Signal, expected: tuple[float, float]
) -> None:
    row = key(0, KEYS[0], requests=50, errors=3, slow=7, cost=2.0)

    assert expected == amount(row, metric, 1_000.0)


def test_a_cached_share_is_the_tokens_cached_of_those_asked_and_a_first_token_one_later() -> None:
    whole = minute(0, requests=50, first=900.0, cached=0.2)
    first = replace(whole.window.metrics["ttft_ms"], histogram=Histogram((582, 690), (45, 5)))
    window = replace(whole.window, metrics={**whole.window.metrics, "ttft_ms": first})
    row = replace(whole, window=window)

    assert (10_000.0, 50_000.0) == amount(row, Signal.CACHED_SHARE, 0.0)
    assert (5.0, 50.0) == amount(row, Signal.P95_TTFT_MS, 500.0)


def test_what_is_not_known_is_no_amount() -> None:
    row = key(0, KEYS[0], cost=None)
    bare = replace(row, window=replace(row.window, metrics={}))

    assert [NOTHING] * 4 == [
        amount(row, Metric.P95_LATENCY_MS, 0.0),
        amount(bare, Metric.P95_LATENCY_MS, 1_000.0),
        amount(row, Metric.COST_PER_REQUEST_USD, 0.0),
        amount(bare, Metric.QUALITY, 0.0),
    ]
