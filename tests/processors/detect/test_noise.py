from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.windows import summary, window
from processors.detect.noise import independent, noise
from processors.detect.policy import WATCHES, Watch
from processors.reading import observations, read
from schemas.catalog import Metric
from schemas.window import EnrichedWindow, MetricSummary

LATENCY, ERRORS, COST, QUALITY, REQUEST, _, FIRST, CACHED = WATCHES
REQUESTS = 300


def row(**changes: object) -> EnrichedWindow:
    made = window(**{"requests": REQUESTS, "success": REQUESTS} | changes)
    return EnrichedWindow(window=made, cost_usd=3.0, cost_per_request_usd=0.01)


def of(name: str, values: object) -> EnrichedWindow:
    found: MetricSummary = summary(values)  # type: ignore[arg-type]  # numbers
    return row(metrics={name: found})


@pytest.mark.parametrize(
    ("watch", "q"),
    [
        (replace(LATENCY, metric=Metric.P50_LATENCY_MS), 0.5),
        (LATENCY, 0.95),
        (replace(LATENCY, ratio=False), 0.95),
    ],
    ids=["median", "p95", "p95 in ms"],
)
def test_the_noise_of_a_quantile_is_how_far_it_strays_from_sample_to_sample(
    watch: Watch, q: float
) -> None:
    rng = np.random.default_rng(0)
    samples = [rng.lognormal(6, 0.5, REQUESTS) for _ in range(300)]
    quantiles = np.quantile(samples, q, axis=1)
    strays = float(np.std(np.log(quantiles) if watch.ratio else quantiles))
    told = float(np.median([noise(of("latency_ms", each), watch) for each in samples]))

    assert pytest.approx(strays, rel=0.35) == told


@pytest.mark.parametrize(("watch", "name"), [(QUALITY, "quality"), (COST, "cost_usd")])
def test_the_noise_of_a_mean_is_its_standard_error(watch: Watch, name: str) -> None:
    values = np.random.default_rng(0).lognormal(3, 0.5, 50)
    error = values.std(ddof=1) / np.sqrt(50)

    assert pytest.approx(error / values.mean() if watch.ratio else error) == noise(
        of(name, values), watch
    )


def test_the_noise_of_a_cached_share_is_how_far_it_strays_from_sample_to_sample() -> None:
    rng, shares, told = np.random.default_rng(0), [], []
    for _ in range(300):
        asked = np.rint(rng.uniform(100, 4_000, REQUESTS))
        cached = np.where(rng.random(REQUESTS) < 0.3, asked // 2, 0.0)
        found = row(
            metrics={"cached_tokens": summary(cached, 1), "tokens_input": summary(asked, 1)}
        )
        shares.append(read(found, CACHED.metric) or 0.0)
        told.append(noise(found, CACHED))

    assert pytest.approx(0.15, abs=0.01) == np.mean(shares)
    assert pytest.approx(np.std(shares), rel=0.35) == np.median(told)


def test_a_share_of_nothing_is_none_and_has_no_noise() -> None:
    nothing = summary([0.0, 0.0], 1)
    rows = [
        row(),
        row(metrics={"cached_tokens": nothing}),
        row(metrics={"cached_tokens": nothing, "tokens_input": nothing}),
    ]

    assert [None] * 3 == [read(each, CACHED.metric) for each in rows]
    assert [0.0] * 3 == [noise(each, CACHED) for each in rows]


def test_the_first_token_has_the_noise_of_its_own_quantiles() -> None:
    values = np.random.default_rng(0).lognormal(5, 0.3, REQUESTS)

    assert noise(of("latency_ms", values), LATENCY) == noise(of("ttft_ms", values), FIRST) > 0
    assert 0.0 == noise(of("latency_ms", values), FIRST)


def test_a_number_of_requests_is_one_observation() -> None:
    assert (1.0, 300.0) == (independent(row(), REQUEST.metric), read(row(), REQUEST.metric))
    assert 0.0 == noise(row(), REQUEST)


def test_one_value_and_none_say_nothing_of_their_noise() -> None:
    rate = replace(ERRORS, metric=Metric.TIMEOUT_RATE)

    assert [0.0] * 4 == [
        noise(of("quality", [90.0]), QUALITY),
        noise(row(), QUALITY),
        noise(row(), LATENCY),
        noise(of("latency_ms", [1.0, 2.0]), rate),
    ]


def test_a_single_bad_score_of_few_is_noise() -> None:
    few = of("quality", [95.0] * 6 + [20.0])
    many = of("quality", [84.0] * 7)

    assert (95.0 - 84.3) / noise(few, QUALITY) < 1.1
    assert 0.0 == noise(many, QUALITY)


def test_the_errors_of_one_user_are_one_piece_of_news() -> None:
    one = row(errors=6, error_units=(7,))
    many = row(errors=6, error_units=(1, 2, 3, 4, 5, 6))
    unnamed = row(errors=6)
    counted = [independent(each, Metric.ERROR_RATE) for each in (one, many, unnamed, row())]

    assert [50.0, 300.0, 300.0, 300.0] == counted
    assert 300.0 == independent(one, Metric.P95_LATENCY_MS)


def test_scores_are_what_a_quality_is_made_of() -> None:
    counted = [
        observations(each, Metric.QUALITY) for each in (of("quality", [1.0, 2.0, 3.0]), row())
    ]

    assert [3, 0] == counted
    assert REQUESTS == observations(row(), Metric.ERROR_RATE)
