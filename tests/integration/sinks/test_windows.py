"""A window is the same row however it comes, and whichever program wrote it."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from demo.stored import SHAPES, compare_tables, newest
from schemas.codec import Codec
from schemas.registry import LocalRegistry
from schemas.topics import AGGREGATES, ENRICHED
from schemas.window import (
    EnrichedWindow,
    Histogram,
    MetricSummary,
    ModelCard,
    Price,
    Target,
)
from sinks.migrate import FOLDER, migrate
from sinks.postgres import Batch, Postgres, Record, Span, Windows
from sinks.rows import WINDOWS, figures, json, maybe

pytestmark = pytest.mark.integration

CODEC = Codec(LocalRegistry())
LATENCY = MetricSummary(
    count=3, sum=1e22, mean=1 / 3, min=5e-324, max=1.7976931348623157e308, stddev=0.1, p50=-0.0,
    p90=123456789.123, p95=1e-7, p99=250.0, histogram=Histogram((1, 2), (1, 2)),
)  # fmt: skip
TOKENS = replace(LATENCY, sum=12.5)
ODD = replace(LATENCY, count=(1 << 62) + 1, mean=math.nan, min=-math.inf, max=math.inf)
PRICE = Price(input_per_mtok=2.5, output_per_mtok=1e-9, cached_per_mtok=None, source='"\\\n')
OLD = """
INSERT INTO aggregates VALUES (
    's/e', '1m', to_timestamp(%s), 'm', 'p', 'v', 'c', 's', 'e', now(), 2, true, now(),
    4, 3, 1, 0, 0, 1.5, 1, 2, 3, NULL, 5, 6, 0.1, NULL, '{"timeout": 1}', %s, %s, NULL, '{}', '[]'
)"""
CARD = ModelCard(
    provider="p\0", model="größer", capabilities=("a,b", '"', ""), release_date="2026-01-01"
)


@pytest.fixture
def some(records: Any) -> list[EnrichedWindow]:
    """Windows with all that a row can hold, and with as little."""
    changes: list[dict[str, Any]] = [
        {"metrics": {}},
        {"metrics": {"latency_ms": LATENCY, "quality": TOKENS, "tokens_input": TOKENS}},
        {"metrics": {"latency_ms": ODD, "tokens_output": TOKENS}, "model": "a\0b\t\\N\n"},
        {"metrics": {'odd "{name},\0': TOKENS}, "closed": False, "service": "größer"},
        {"errors_by_type": {'"\\\0\x01': 3, "rate_limit": 1 << 60}, "config_version": ""},
    ]
    windows = [records.window(start=i * 60_000, **each) for i, each in enumerate(changes)]
    costs = [(None, None), (0.1, math.nan), (1e300, 0.0), (None, -1.5), (3.0, None)]
    found = [
        EnrichedWindow(window=window, cost_usd=cost, cost_per_request_usd=each)
        for window, (cost, each) in zip(windows, costs, strict=True)
    ]
    found[1] = replace(found[1], price=PRICE, missing=("sla", 'x"'))
    found[2] = replace(found[2], target=Target(error_rate=0.01), model_card=CARD)
    found[3] = replace(found[3], price=PRICE, target=Target(), model_card=CARD, missing=("price",))
    return found


def columns(windows: list[EnrichedWindow]) -> list[Windows]:
    values = [CODEC.encode(ENRICHED, each) for each in windows]
    return [
        Windows(ENRICHED.name, [(0, i) for i in at.tolist()], table)
        for at, table in CODEC.tables(ENRICHED, values)
    ]


def summaries(window: EnrichedWindow) -> str:
    """The metrics of *window* as an older program wrote them."""
    return json(figures(window.window.metrics))


def store(dsn: str, batch: Batch) -> int:
    postgres = Postgres(dsn)
    try:
        return postgres.write(batch)
    finally:
        postgres.close()


def rows(dsn: str, table: str) -> list[dict[str, Any]]:
    query = sql.SQL("SELECT t.*, t::text AS all FROM {} t ORDER BY start_at, model")
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(query.format(sql.Identifier(table))).fetchall()


def test_windows_are_the_same_rows_one_by_one_and_many_at_once(
    empty: str, some: list[EnrichedWindow]
) -> None:
    migrate(empty)
    records = [Record(ENRICHED.name, 0, i, each) for i, each in enumerate(some)]
    assert 5 == store(empty, Batch(records, {}))
    expected = [each["all"] for each in rows(empty, WINDOWS.name)]
    with psycopg.connect(empty) as connection:
        connection.execute("TRUNCATE windows")

    assert 5 == store(empty, Batch([], {}, columns(some)))
    assert expected == [each["all"] for each in rows(empty, WINDOWS.name)]


def test_of_many_windows_of_one_key_the_newest_is_stored_and_again_none(
    empty: str, some: list[EnrichedWindow]
) -> None:
    migrate(empty)
    first, second, third = (
        replace(some[1], window=replace(some[1].window, revision=n, requests=n)) for n in (1, 2, 3)
    )
    batch = Batch([], {(ENRICHED.name, 0): Span(0, 4)}, columns([second, some[0], third, first]))

    assert (2, 0) == (store(empty, batch), store(empty, batch))
    assert [(1, some[0].window.requests), (3, 3)] == [
        (each["revision"], each["requests"]) for each in rows(empty, WINDOWS.name)
    ]
    assert 0 == store(empty, Batch([], {}, columns([second, some[0]])))


def test_the_view_says_of_windows_what_their_topics_say(
    empty: str, some: list[EnrichedWindow]
) -> None:
    migrate(empty)
    good = [some[0], some[1], some[4]]  # without the character zero and what JSON has not
    good[1] = replace(good[1], cost_per_request_usd=0.25)
    good[2] = replace(good[2], window=replace(good[2].window, errors_by_type={'"\\\x01': 3}))
    good[1] = replace(
        good[1],
        window=replace(
            good[1].window, metrics={"latency_ms": LATENCY, "tokens_input": replace(TOKENS, sum=9)}
        ),
    )
    store(empty, Batch([], {}, columns(good)))
    wanted: dict[Any, Any] = {}
    for shape in SHAPES:
        of = {AGGREGATES.name: [each.window for each in good], ENRICHED.name: good}
        for key, row in newest(shape, of.get(shape.topic, [])).items():
            wanted[key] = wanted.get(key, {}) | row

    held = compare_tables(empty, {"aggregates": wanted})["aggregates"]

    assert (3, ()) == (held.records, held.wrong)


def test_rows_of_an_older_program_are_the_same_after_the_migration(
    empty: str, some: list[EnrichedWindow], tmp_path: Path
) -> None:
    for path in sorted(FOLDER.glob("000[12]_*.sql")):
        shutil.copy(path, tmp_path)
    migrate(empty, tmp_path)
    with psycopg.connect(empty) as connection:
        for each in some:
            values = [each.window.start / 1_000, summaries(each), maybe(each.price)]
            connection.execute(OLD, values)
    before = rows(empty, "aggregates")
    migrate(empty)
    after = rows(empty, "aggregates")

    assert 5 == len(before)
    for old, new in zip(before, after, strict=True):
        assert {**old, "all": ""} == {**new, "all": ""}
    assert [*before[0]] == [*after[0]]
