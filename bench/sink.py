"""How many windows a second come from their topic to Postgres, each as a row.

Enriched windows of a thousand scopes, of four keys and a pooled row each, are all on their topic
before a worker with the stage store starts, beside Kafka and Postgres on two cores. Afterwards
every one must be a row. The peer, in turns with it, copies the same rows, as text that is ready
before, into a staging table and from there into an empty one. At last the worker reads all of the
topic again, which must change no row.

python -m bench sink
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
import numpy as np
import psycopg

from bench.line import report
from bench.servers import Servers, keeping, put, servers
from bench.watch import cpu_seconds
from bench.windows import summary, window
from schemas.partial import METRICS
from schemas.scope import ALL
from schemas.topics import ENRICHED
from schemas.window import MINUTE, EnrichedWindow, ModelCard, Price, Target
from streams import kafka
from streams.follow import BATCH

BENCH = "sink"
BAR = 50_000  # rows a second
SCOPES = 1_000
MODELS = ("gpt-4", "gpt-4o-mini", "gpt-3.5-turbo", "open-mixtral-8x7b")
START = 1_700_000_040_000  # ms
PATIENCE = 300.0  # seconds


@dataclass(frozen=True, slots=True)
class Stored:
    """From the first row that was seen to the last; CPU in seconds of a core."""

    seconds: float
    rows: int
    worker: float
    postgres: float


def windows(count: int) -> Iterator[EnrichedWindow]:
    """So many windows: every scope's keys and its pooled row, minute after minute."""
    rng = np.random.default_rng(1)
    metrics = [
        {name: summary(rng.lognormal(np.log(100), 0.5, 40)) for name, _ in METRICS[:6]}
        for _ in range(64)
    ]
    price = Price(input_per_mtok=2.5, output_per_mtok=10.0, cached_per_mtok=1.25, source="catalog")
    target = Target(p95_latency_ms=3_500.0, error_rate=0.05)
    for i in range(count):
        minute, place = divmod(i, SCOPES * (len(MODELS) + 1))
        scope, which = divmod(place, len(MODELS) + 1)
        model = (*MODELS, ALL)[which]
        pooled = model == ALL
        made = window(
            service=f"service-{scope % 40}",
            endpoint=f"endpoint-{scope}",
            model=model,
            provider=ALL if pooled else "openai",
            config_version=ALL if pooled else "v-1",
            cohort=ALL if pooled else "stable",
            start=START + minute * MINUTE,
            end=START + (minute + 1) * MINUTE,
            watermark=START + (minute + 1) * MINUTE,
            requests=40,
            success=39,
            errors=1,
            errors_by_type={"rate_limit": 1},
            metrics=metrics[i % len(metrics)],
        )
        yield EnrichedWindow(
            window=made,
            cost_usd=0.25,
            cost_per_request_usd=0.00625,
            price=None if pooled else price,
            target=target,
            model_card=None if pooled else ModelCard(provider="openai", model=model),
        )


def fill(at: Servers, count: int) -> None:
    """Write the windows, each to the partition of its scope."""
    producer = kafka.producer(at.settings.bootstrap_servers, linger_ms=50)
    for each in windows(count):
        value = at.codec.encode(ENRICHED, each)
        put(producer, ENRICHED.name, value, each.window.scope)
    if left := producer.flush(60):
        raise SystemExit(f"Kafka did not take {left} windows.")


def store(at: Servers, count: int) -> Stored:
    """Start the worker, and watch the positions in Postgres until the last window is there."""
    server = at.postgres
    with (
        psycopg.connect(at.settings.database_url, autocommit=True) as connection,
        at.child("worker", "streams", "worker", "--stages", "store") as worker,
    ):
        began, first, used = 0.0, 0, (0.0, 0.0)
        deadline = time.monotonic() + PATIENCE
        while (now := stored(connection)) < count:
            if now and not first:
                began, first = time.monotonic(), now
                used = (cpu_seconds(worker.pid), family_seconds(server))
            if worker.wait(0.05) or time.monotonic() > deadline:
                raise SystemExit(f"The worker did not go on: {at.last_words('worker')}")
        return Stored(
            seconds=time.monotonic() - began,
            rows=count - first,
            worker=cpu_seconds(worker.pid) - used[0],
            postgres=family_seconds(server) - used[1],
        )


def stored(connection: psycopg.Connection) -> int:
    """How many windows Postgres has passed."""
    try:
        found = connection.execute(
            "SELECT coalesce(sum(next_offset), 0)::bigint FROM positions WHERE topic = %s",
            [ENRICHED.name],
        ).fetchone()
    except psycopg.errors.UndefinedTable:
        return 0
    return int(found[0]) if found else 0


def family_seconds(parent: int) -> float:
    """Processor time of a process and its children so far; of those that ended, too."""
    total = 0.0
    for each in Path("/proc").glob("[0-9]*"):
        try:
            fields = (each / "stat").read_text().rpartition(")")[2].split()
            if parent in (int(each.name), int(fields[1])):
                total += cpu_seconds(int(each.name))
        except FileNotFoundError:
            continue
    return total


def check(at: Servers, count: int) -> None:
    """Every window is a row, and a drawn dozen of them say what was sent.

    Raises:
        SystemExit: One does not.
    """
    with psycopg.connect(at.settings.database_url) as connection:
        found = connection.execute("SELECT count(*) FROM aggregates").fetchone()
        if not found or found[0] != count:
            raise SystemExit(f"{count} windows were sent, and {found} rows are there.")
        drawn = random.Random(1).sample(range(count), 12)
        for i, each in enumerate(windows(count)):
            if i not in drawn:
                continue
            sent = each.window
            row = connection.execute(
                "SELECT requests, latency_p95_ms, cost_usd FROM aggregates WHERE scope = %s "
                "AND model = %s AND start_at = to_timestamp(%s)",
                [sent.scope, sent.model, sent.start / 1_000],
            ).fetchone()
            wanted = (sent.requests, sent.metrics["latency_ms"].p95, each.cost_usd)
            if row != wanted:
                raise SystemExit(f"{sent.record_id} is {row} in Postgres, and was {wanted}.")


def lines(at: Servers) -> list[bytes]:
    """The rows that are stored, as the text that COPY reads, some thousands together."""
    found, parts = [], []
    with (
        psycopg.connect(at.settings.database_url) as connection,
        connection.cursor().copy("COPY windows TO STDOUT") as copy,
    ):
        for line in copy:
            parts.append(bytes(line))
            if len(parts) == BATCH:
                found.append(b"".join(parts))
                parts = []
    return [*found, b"".join(parts)] if parts else found


def bare(at: Servers, ready: Sequence[bytes]) -> float:
    """Copy rows into a staging table and from there into an empty one; the seconds it took."""
    with psycopg.connect(at.settings.database_url, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("DROP TABLE IF EXISTS peer")
        connection.execute("CREATE TABLE peer (LIKE windows INCLUDING ALL)")
        connection.execute("CREATE TEMP TABLE staged (LIKE windows) ON COMMIT DELETE ROWS")
        began = time.monotonic()
        for part in ready:
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy("COPY staged FROM STDIN") as copy:
                    copy.write(part)
                cursor.execute("INSERT INTO peer SELECT * FROM staged ON CONFLICT DO NOTHING")
        return time.monotonic() - began


def forget(at: Servers, *, rows: bool) -> None:
    """Let the next worker begin at the topic's beginning, with the *rows* gone or still there."""
    with psycopg.connect(at.settings.database_url) as connection:
        connection.execute("TRUNCATE positions")
        if rows:
            connection.execute("TRUNCATE windows")


def state(at: Servers) -> tuple[int, str]:
    """How many rows there are, and the versions that they are in."""
    with psycopg.connect(at.settings.database_url) as connection:
        found = connection.execute(
            "SELECT count(*), sum(hashtextextended(ctid::text || xmin::text, 0))::text FROM windows"
        ).fetchone()
    return found or (0, "")


@click.command()
@click.option("--rows", default=300_000, show_default=True, help="Windows to store.")
@click.option("--rounds", default=3, show_default=True, help="Turns of the worker and the peer.")
@keeping
def main(*, rows: int, rounds: int, keep: bool) -> None:
    """Measure how many windows a second one worker stores in Postgres."""
    measured: list[Stored] = []
    peer: list[float] = []
    with servers(keep=keep, database=True) as at:
        fill(at, rows)
        for _ in range(rounds):
            if measured:
                forget(at, rows=True)
            measured.append(store(at, rows))
            check(at, rows)
            peer.append(rows / bare(at, lines(at)))
        before = state(at)
        forget(at, rows=False)
        store(at, rows)
        if (after := state(at)) != before:
            raise SystemExit(f"Replayed, {before[0]} rows became {after[0]}, or were written anew.")
    rate = median(each.rows / each.seconds for each in measured)
    report(
        BENCH,
        round(rate),
        "rows/s",
        bar=BAR,
        at=">=",
        vs={"bare_staged_copy": round(rate / median(peer), 2)},
        cpu_us_per_event=round(median(e.worker * 1e6 / e.rows for e in measured), 1),
        postgres_us_per_event=round(median(e.postgres * 1e6 / e.rows for e in measured), 1),
        peer_rows_per_second=round(median(peer)),
        rounds=[round(each.rows / each.seconds) for each in measured],
        rows=rows,
        replay_added=0,
    )


if __name__ == "__main__":
    main()
