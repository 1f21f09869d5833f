from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from schemas.anomaly import Cause
from schemas.codec import Codec
from schemas.registry import LocalRegistry
from schemas.rollout import Phase
from schemas.topics import ENRICHED
from schemas.window import EnrichedWindow
from sinks.errors import Behind, MigrationRefused, Refused, Unavailable
from sinks.migrate import FOLDER, migrate
from sinks.postgres import Batch, Postgres, Record, Refusal, Span, Windows

pytestmark = pytest.mark.integration

TOPIC = ENRICHED.name
CODEC = Codec(LocalRegistry())
Window = Callable[..., EnrichedWindow]
Make = Callable[..., Batch]


@pytest.fixture
def dsn(empty: str) -> str:
    """A database with the tables."""
    migrate(empty)
    return empty


@pytest.fixture
def postgres(dsn: str) -> Iterator[Postgres]:
    sink = Postgres(dsn)
    yield sink
    sink.close()


@pytest.fixture
def window(records: Any) -> Window:
    """Enriched windows, told by what changes from one to the next."""

    def build(start: int, revision: int, requests: int, **changes: str) -> EnrichedWindow:
        changed = records.window(start=start, revision=revision, requests=requests, **changes)
        return EnrichedWindow(window=changed, cost_usd=None, cost_per_request_usd=None)

    return build


@pytest.fixture(params=["one by one", "many at once"])
def batch(request: pytest.FixtureRequest) -> Make:
    """Batches of records, whose windows come one by one or as the columns of many."""
    return one_by_one if request.param == "one by one" else many_at_once


def one_by_one(*values: object, start: int = 0, end: int = 1) -> Batch:
    records = [Record(TOPIC, 0, start + i, value) for i, value in enumerate(values)]
    return Batch(records, {(TOPIC, 0): Span(start, end)})


def many_at_once(*values: object, start: int = 0, end: int = 1) -> Batch:
    data: list[tuple[int, bytes]] = []
    others: list[Record] = []
    for i, value in enumerate(values, start):
        try:
            data.append((i, CODEC.encode(ENRICHED, value)))
        except (ValueError, OverflowError):  # no window, or one that Avro does not take
            others.append(Record(TOPIC, 0, i, value))
    windows = [
        Windows(TOPIC, [(0, data[i][0]) for i in at.tolist()], table)
        for at, table in CODEC.tables(ENRICHED, [each for _, each in data])
    ]
    assert len(data) == sum(len(each.places) for each in windows)
    return Batch(others, {(TOPIC, 0): Span(start, end)}, windows)


def ask(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def test_migrations_run_once_however_many_start_together(empty: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(migrate, [empty] * 4))

    assert sorted(path.stem for path in FOLDER.glob("*.sql")) == [
        n for names in done for n in names
    ]


def test_a_migration_that_fails_leaves_nothing_behind(empty: str, tmp_path: Path) -> None:
    (tmp_path / "0001_half.sql").write_text("CREATE TABLE half (id int); SELECT nonsense;")

    with pytest.raises(MigrationRefused, match="0001_half"):
        migrate(empty, tmp_path)
    assert [(0,)] == ask(empty, "SELECT count(*) FROM schema_migrations")
    assert [(None,)] == ask(empty, "SELECT to_regclass('half')")


def test_a_newer_revision_replaces_a_row_and_an_older_does_not(
    postgres: Postgres, dsn: str, window: Window, batch: Make
) -> None:
    postgres.write(batch(window(0, 2, 20)))
    postgres.write(batch(window(0, 1, 10), window(60_000, 1, 5), end=2))
    postgres.write(batch(window(60_000, 1, 5), window(60_000, 3, 7), window(60_000, 2, 6), end=5))

    assert [(2, 20), (3, 7)] == ask(
        dsn, "SELECT revision, requests FROM aggregates ORDER BY start_at"
    )


def test_a_batch_that_comes_twice_changes_nothing(
    postgres: Postgres, dsn: str, window: Window, records: Any, batch: Make
) -> None:
    once = batch(window(0, 1, 10), records.anomaly(), end=2)
    first, again = postgres.write(once), postgres.write(once)

    assert (2, 0) == (first, again)
    assert [(10,)] == ask(dsn, "SELECT requests FROM aggregates")
    assert {(TOPIC, 0): 2} == postgres.positions()


def test_positions_never_go_back_unless_they_are_rewound(postgres: Postgres, batch: Make) -> None:
    postgres.write(batch(end=9))
    postgres.write(batch(end=4))

    assert {(TOPIC, 0): 9} == postgres.positions()
    postgres.rewind({(TOPIC, 0): 3})
    assert {(TOPIC, 0): 3} == postgres.positions()


def test_a_batch_that_leaves_a_gap_is_not_written(
    postgres: Postgres, dsn: str, window: Window, batch: Make
) -> None:
    postgres.write(batch(window(0, 1, 1), end=5))
    postgres.write(batch(window(0, 2, 2), start=5, end=9))
    postgres.rewind({(TOPIC, 0): 5})  # as a crash or a backup would leave it

    with pytest.raises(Behind, match=r"at offset 5 .* begins at 9"):
        postgres.write(batch(window(0, 3, 3), start=9, end=10))
    assert [(2,)] == ask(dsn, "SELECT revision FROM aggregates")


def test_a_row_that_postgres_refuses_does_not_hold_up_the_others(
    postgres: Postgres, dsn: str, window: Window, records: Any, batch: Make
) -> None:
    too_many = window(120_000, 1, 2**63)
    too_long = window(180_000, 1, 1, model=secrets.token_hex(4_000))
    good = [window(i * 60_000, 1, i) for i in range(4, 40)]
    refused: list[Refusal] = []
    stored = postgres.write(
        batch(*good[:20], too_many, *good[20:], too_long, records.window(), end=39), refused.extend
    )

    assert 36 == stored
    assert [(36,)] == ask(dsn, "SELECT count(*) FROM aggregates")
    assert [too_many, too_long, records.window()] == [
        each.record.value for each in sorted(refused, key=lambda each: each.record.offset)
    ]
    assert {(TOPIC, 0): 39} == postgres.positions()


def test_when_the_dead_letters_cannot_be_written_nothing_is(
    postgres: Postgres, dsn: str, window: Window, records: Any, batch: Make
) -> None:
    def fail(_: object) -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        postgres.write(batch(window(0, 1, 1), records.window()), fail)
    with pytest.raises(Refused):
        postgres.write(batch(window(0, 1, 1), records.window()))
    assert [(0,)] == ask(dsn, "SELECT count(*) FROM aggregates")
    assert {} == postgres.positions()


def test_characters_that_postgres_has_not_are_replaced(
    postgres: Postgres, dsn: str, window: Window, batch: Make
) -> None:
    postgres.write(batch(window(0, 1, 1, model="a\0b\t\\N\n")))

    assert [("a\ufffdb\t\\N\n",)] == ask(dsn, "SELECT model FROM aggregates")


def test_every_step_of_a_rollout_is_a_row(
    postgres: Postgres, dsn: str, records: Any, batch: Make
) -> None:
    step = records.deployment()
    postgres.write(batch(step, records.deployment(sequence=2, phase=Phase.RAMPING, share=500)))

    assert [("pending", "inconclusive", 0), ("ramping", "inconclusive", 500)] == ask(
        dsn, "SELECT phase, verdict, share FROM deployments ORDER BY sequence"
    )


def test_an_anomaly_is_a_row_with_its_causes_its_incident_and_why_it_is_held_back(
    postgres: Postgres, dsn: str, records: Any, batch: Make
) -> None:
    cause = Cause(dimension="model", value="gpt-4o\0", share=0.9, strength=0.8)
    told = records.anomaly(id="a", causes=(cause,), incident="search/answer|60000")
    held = records.anomaly(id="b", is_anomaly=False, suppressed="a rollout moves")
    postgres.write(batch(told, held, end=2))

    assert [
        ("a", "gpt-4o\ufffd", 0.9, "search/answer|60000", ""),
        ("b", None, None, "", "a rollout moves"),
    ] == ask(
        dsn,
        "SELECT id, causes -> 0 ->> 'value', (causes -> 0 -> 'share')::float, incident, suppressed"
        " FROM anomalies ORDER BY id",
    )


def test_a_revision_takes_an_anomaly_back_with_what_was_said_of_it(
    postgres: Postgres, dsn: str, records: Any, batch: Make
) -> None:
    told = records.anomaly(id="a", revision=1, incident="search/answer|60000")
    postgres.write(batch(told))
    postgres.write(batch(replace(told, revision=2, is_anomaly=False, incident=""), end=2))

    assert [(2, False, "")] == ask(dsn, "SELECT revision, is_anomaly, incident FROM anomalies")


def test_anomalies_of_before_their_causes_were_kept_stay_as_they_are(
    empty: str, tmp_path: Path, records: Any, batch: Make
) -> None:
    for file in sorted(FOLDER.glob("000[1-4]_*.sql")):
        shutil.copy(file, tmp_path)
    migrate(empty, tmp_path)
    ask(
        empty,
        "INSERT INTO anomalies VALUES ('old', 's', 'm', '1m', now(), now(), 1, true, 'low',"
        " 1, 1, 1, 1, 1, 1, 'robust_z', 1) RETURNING id",
    )
    sink = Postgres(empty)
    with pytest.raises(Unavailable, match="has not the tables"):
        sink.write(batch(records.anomaly(id="new")))
    migrate(empty)

    assert 1 == sink.write(batch(records.anomaly(id="new", incident="i")))
    assert [("new", [], "i"), ("old", [], "")] == ask(
        empty, "SELECT id, causes, incident FROM anomalies ORDER BY id"
    )
    sink.close()


def test_a_database_without_tables_is_not_ready_and_becomes_so(
    empty: str, window: Window, batch: Make
) -> None:
    sink = Postgres(empty)
    with pytest.raises(Unavailable, match="has not the tables"):
        sink.write(batch(window(0, 1, 1)))
    migrate(empty)

    assert 1 == sink.write(batch(window(0, 1, 1)))
    sink.close()


def test_a_lost_connection_is_replaced_at_the_next_write(
    postgres: Postgres, dsn: str, window: Window, batch: Make
) -> None:
    postgres.write(batch(window(0, 1, 1)))
    ask(
        dsn,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    with pytest.raises(Unavailable):
        postgres.write(batch(window(0, 2, 2)))

    assert 1 == postgres.write(batch(window(0, 2, 2)))


def test_a_database_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        Postgres("postgresql://nobody@127.0.0.1:1/none").positions()


def test_rows_are_staged_as_they_are_kept(
    dsn: str, postgres: Postgres, batch: Make, window: Window
) -> None:
    postgres.write(batch(window(0, 1, 1)))
    asked = "SELECT reloptions FROM pg_class WHERE relname = %s"
    with psycopg.connect(dsn) as connection:
        kept, staged = (
            connection.execute(asked, [n]).fetchone() for n in ("windows", "new_windows")
        )

    assert (["toast_tuple_target=8160"],) == kept == staged
