# `llmopt` is a fixture whose type lies in a conftest
from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from schemas.topics import ENRICHED
from schemas.window import MINUTE, EnrichedWindow, MetricSummary, WindowAggregate
from streams.clock import now_ms

pytestmark = pytest.mark.integration

LATENCY = MetricSummary(
    count=3, sum=3.0, mean=1.0, min=1.0, max=1.0, stddev=0.0, p50=1.0, p90=1.0, p95=7.5, p99=1.0
)


def window(endpoint: str, end: int, requests: int, **changes: Any) -> EnrichedWindow:
    """The whole scope's minute before *end*."""
    pooled = WindowAggregate(
        service="windows",
        endpoint=endpoint,
        model="*",
        provider="*",
        config_version="*",
        cohort="*",
        window="1m",
        start=end - MINUTE,
        end=end,
        revision=1,
        closed=True,
        watermark=end,
        requests=requests,
        success=requests - 1,
        errors=1,
        timeouts=0,
        retries=0,
        metrics={"latency_ms": LATENCY},
    )
    return EnrichedWindow(
        window=replace(pooled, **changes), cost_usd=0.25, cost_per_request_usd=0.05
    )


def test_windows_are_shown_newest_first_each_in_its_newest_revision(llmopt: Any) -> None:
    endpoint = secrets.token_hex(4)
    now = now_ms() // MINUTE * MINUTE
    key = {"model": "gpt-4o", "provider": "openai", "config_version": "v1", "cohort": "stable"}
    for each in (
        window(endpoint, now - MINUTE, 4),
        window(endpoint, now, 5),
        window(endpoint, now - MINUTE, 6, revision=2),
        window(endpoint, now, 5, **key),
        window(endpoint, now - 3 * 60 * MINUTE, 7),
        window("another", now, 8),
    ):
        llmopt.produce(ENRICHED.name, each.window.scope, each)
    scope = f"windows/{endpoint}"
    found = llmopt.json("windows", scope)

    assert [(5, 1), (6, 2)] == [(e["window"]["requests"], e["window"]["revision"]) for e in found]

    lines = llmopt("windows", scope, "--last", "1d").stdout.splitlines()

    assert 4 == len(lines)
    assert [scope, "5", "1", "7.5", "–", "0.25", "1", "closed"] == lines[1].split()[2:]

    named = llmopt("windows", scope, "--keys").stdout.splitlines()[1]

    assert [scope, "openai/gpt-4o", "v1", "stable", "5"] == named.split()[2:7]


def test_where_nothing_happened_it_says_so(llmopt: Any) -> None:
    assert "No window of 7d that ended within 10m" in (
        llmopt("windows", "windows/none", "--size", "7d", "--last", "10m").stdout
    )


def test_a_length_that_is_none_is_wrong_usage(llmopt: Any) -> None:
    answer = llmopt("windows", "--last", "soon", expect=2)

    assert "'soon' is not a duration" in answer.stderr
