from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.anomaly import Severity
from schemas.codec import Codec
from schemas.config import LlmConfig, ScopeConfig, Split
from schemas.decision import Action, Candidate, Decision
from schemas.registry import LocalRegistry
from schemas.topics import ENRICHED as TOPIC
from schemas.window import EnrichedWindow, Histogram, MetricSummary, WindowAggregate
from sinks import rows
from sinks.errors import Refused
from sinks.migrate import FOLDER

LATENCY = MetricSummary(
    count=4,
    sum=1000.0,
    mean=250.0,
    min=100.0,
    max=400.0,
    stddev=129.1,
    p50=200.0,
    p90=390.0,
    p95=400.0,
    p99=400.0,
    histogram=Histogram((1, 2), (3, 1)),
)
WINDOW = WindowAggregate(
    service="search",
    endpoint="answer",
    model="gpt-4o",
    provider="openai",
    config_version="v1",
    cohort="stable",
    window="1m",
    start=1_760_000_040_000,
    end=1_760_000_100_000,
    revision=2,
    closed=True,
    watermark=1_760_000_101_000,
    requests=4,
    success=3,
    errors=1,
    timeouts=1,
    retries=2,
    errors_by_type={"timeout": 1},
    metrics={"latency_ms": LATENCY},
)
ENRICHED = EnrichedWindow(
    window=WINDOW, cost_usd=0.5, cost_per_request_usd=0.125, missing=("target",)
)
CONFIG = LlmConfig(version="c1", provider="openai", model="gpt-4o-mini", temperature=0.2)
DECISION = Decision(
    id="d1",
    scope="search/answer",
    at=1_760_000_100_000,
    rule="cost",
    priority="medium",
    action=Action.DEPLOY,
    strategy="balanced",
    current=None,
    chosen=CONFIG,
    confidence=0.9,
    propensity=1.0,
    policy="abc",
)


def named(record: object) -> dict[str, object]:
    table, values = rows.row(record)
    return dict(zip(table.columns, values, strict=True))


def test_windows_that_are_read_many_at_once_are_the_same_rows() -> None:
    bare = replace(ENRICHED, window=replace(WINDOW, metrics={}))
    quality = replace(ENRICHED, window=replace(WINDOW, metrics={"quality": LATENCY}))
    codec = Codec(LocalRegistry())
    data = [codec.encode(TOPIC, each) for each in (ENRICHED, bare, quality)]
    read = codec.decode_all(TOPIC, data, [None] * len(data))

    assert not any(isinstance(each.window.metrics, dict) for each in read)
    assert [*map(rows.row, (ENRICHED, bare, quality))] == [*map(rows.row, read)]


def test_a_window_is_a_row_of_native_columns() -> None:
    row = named(ENRICHED)

    assert datetime(2025, 10, 9, 8, 54, tzinfo=UTC) == row["start_at"]
    assert ("search/answer", "1m", 2, True) == tuple(
        row[name] for name in ("scope", "window_name", "revision", "closed")
    )
    assert (250.0, 200.0, 400.0, 400.0) == tuple(
        row[f"latency_{name}_ms"] for name in ("mean", "p50", "p95", "p99")
    )


def test_what_a_window_does_not_know_is_null_not_zero() -> None:
    row = named(replace(ENRICHED, cost_usd=None, cost_per_request_usd=None))

    assert [None] * 4 == [
        row[name] for name in ("cost_usd", "cost_per_request_usd", "quality_mean", "price")
    ]


def test_a_window_keeps_every_figure_without_its_histogram() -> None:
    row = named(ENRICHED)

    assert (["latency_ms"], [4]) == (row["metric_names"], row["metric_counts"])
    assert [1000.0, 250.0, 100.0, 400.0, 129.1, 200.0, 390.0, 400.0, 400.0] == row["metric_figures"]


@pytest.mark.parametrize("tokens", [math.nan, math.inf])
def test_a_sum_of_tokens_that_is_no_number_is_refused(tokens: float) -> None:
    odd = replace(WINDOW, metrics={"tokens_input": replace(LATENCY, sum=tokens)})

    with pytest.raises(Refused, match="no number of tokens"):
        rows.row(replace(ENRICHED, window=odd))


def test_a_decision_keeps_what_it_weighed() -> None:
    candidate = Candidate(
        config=CONFIG, predicted={"quality": 80.0}, pessimistic={}, feasible=True, improvement=0.4
    )
    row = named(replace(DECISION, candidates=(candidate,)))

    assert ("deploy", "openai", "gpt-4o-mini") == (row["action"], row["provider"], row["model"])
    assert 80.0 == json.loads(str(row["candidates"]))[0]["predicted"]["quality"]


def test_an_infinite_improvement_becomes_null() -> None:
    candidate = Candidate(
        config=CONFIG, predicted={}, pessimistic={}, feasible=False, improvement=float("-inf")
    )
    row = named(replace(DECISION, candidates=(candidate,)))

    assert json.loads(str(row["candidates"]))[0]["improvement"] is None


def test_a_config_row_says_how_much_traffic_the_candidate_has() -> None:
    row = named(
        ScopeConfig(
            scope="search/answer",
            revision=7,
            epoch=3,
            stable=None,
            candidate=CONFIG,
            split=Split(rollout_id="r1", salt="s", share=500),
        )
    )

    assert (7, 3, None, "c1", 500) == tuple(
        row[name] for name in ("revision", "epoch", "stable_version", "candidate_version", "share")
    )


@given(st.text())
def test_no_text_reaches_postgres_with_a_character_zero(name: str) -> None:
    row = named(replace(DECISION, rule=name, reasons=(name,), observed={name: 1.0}))

    assert name.replace("\0", "\ufffd") == row["rule"]
    assert [name.replace("\0", "\ufffd")] == json.loads(str(row["reasons"]))
    assert [name.replace("\0", "\ufffd")] == list(json.loads(str(row["observed"])))


def test_an_escaped_backslash_before_u0000_stays_what_it_was() -> None:
    assert "\\u0000" == json.loads(rows.json("\\u0000"))


@pytest.mark.parametrize("at", [10**18, -(10**18)])
def test_a_time_that_no_calendar_holds_is_refused(at: int) -> None:
    with pytest.raises(Refused, match="not a time"):
        rows.row(replace(DECISION, at=at))


def test_a_record_without_a_table_is_refused() -> None:
    with pytest.raises(Refused, match="no table for a WindowAggregate"):
        rows.row(WINDOW)


def test_an_anomaly_is_found_by_its_id(records: Any) -> None:
    row = named(records.anomaly(id="search/answer|p95|1", severity=Severity.HIGH))

    assert ("search/answer|p95|1", "high") == (row["id"], row["severity"])
    assert ("[]", "", "") == (row["causes"], row["incident"], row["suppressed"])


@pytest.mark.parametrize("table", rows.TABLES, ids=lambda table: table.name)
def test_every_table_has_the_columns_and_the_key_that_its_writer_names(table: rows.Table) -> None:
    text = "".join(path.read_text() for path in sorted(FOLDER.glob("*.sql")))
    body = re.search(rf"CREATE TABLE {table.name} \((.*?)\n\);", text, re.DOTALL)
    assert body is not None
    columns = re.findall(r"^    ([a-z_0-9]+) ", body[1], re.MULTILINE)
    for later in re.findall(rf"ALTER TABLE {table.name}\n(.*?);", text, re.DOTALL):
        columns += re.findall(r"ADD COLUMN ([a-z_0-9]+) ", later)
    key = re.search(r"PRIMARY KEY \((.*?)\)", body[1])

    assert set(table.columns) == set(columns)
    assert list(table.columns[: table.key]) == (key[1].split(", ") if key else ["id"])
    assert table.newer in table.columns
