"""Postgres beside the topics: each row must say what the newest record of its key says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import psycopg
import psycopg.sql
from psycopg.rows import dict_row

from demo.promises import Held
from schemas.topics import AGGREGATES, ANOMALIES, CONFIG, DECISIONS, DEPLOYMENTS, ENRICHED, INSIGHTS
from sinks.rows import UNSTORED

Key = tuple[Any, ...]
Row = Mapping[str, Any]
Column = Callable[[Any], Any]  # what a column says of a record
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shape:
    """How the records of a topic lie in their table; written without the writer's own code.

    Attributes:
        table: The table's name.
        topic: The topic's name.
        key: The columns of the primary key.
        newer: The column by which one record of a key replaces another.
        plain: Columns that are the record's fields of the same name.
        other: All further columns.
    """

    table: str
    topic: str
    key: tuple[str, ...]
    newer: str
    plain: tuple[str, ...]
    other: Mapping[str, Column]

    def row(self, record: Any) -> dict[str, Any]:
        """What the row of *record* must hold: times in ms, all else as JSON has it."""
        found = {name: getattr(record, name) for name in self.plain}
        found |= {name: column(record) for name, column in self.other.items()}
        row: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(found))
        return row


def expected(topics: Mapping[str, Iterable[Any]]) -> dict[str, dict[Key, dict[str, Any]]]:
    """The rows that the newest records of *topics* make, by table and key.

    Where two topics speak of the same row, as the windows do before and after they are enriched,
    it must say what both do.
    """
    tables: dict[str, dict[Key, dict[str, Any]]] = {}
    for shape in SHAPES:
        rows = tables.setdefault(shape.table, {})
        records = (each for each in topics[shape.topic] if not isinstance(each, UNSTORED))
        for key, row in newest(shape, records).items():
            rows[key] = rows.get(key, {}) | row
    return tables


def newest(shape: Shape, records: Iterable[Any]) -> dict[Key, dict[str, Any]]:
    """The rows that the newest of *records* make, by key; of equals the first, as in the store."""
    found: dict[Key, dict[str, Any]] = {}
    for record in records:
        row = shape.row(record)
        key = tuple(row[name] for name in shape.key)
        if key not in found or found[key][shape.newer] < row[shape.newer]:
            found[key] = row
    return found


def compare(rows: Iterable[Row], wanted: Mapping[Key, Row], key: Sequence[str]) -> Held:
    """Compare a table's rows with those that it must hold.

    Returns:
        How many records there are, and a sentence for each row that is missing, of no record, or
        says something else.
    """
    wrong, seen = [], set()
    for row in rows:
        at = tuple(row[name] for name in key)
        seen.add(at)
        record = wanted.get(at)
        if record is None:
            wrong.append(f"{_told(at)} is on no topic")
            continue
        off = [name for name, value in record.items() if row[name] != value]
        if off:
            name = off[0]
            wrong.append(f"{_told(at)}: {name} is {row[name]!r}, but {record[name]!r} on the topic")
    wrong += [f"{_told(at)} is not in Postgres" for at in wanted.keys() - seen]
    return Held(records=len(wanted), wrong=tuple(sorted(wrong)))


def compare_tables(database: str, wanted: Mapping[str, Mapping[Key, Row]]) -> Mapping[str, Held]:
    """Compare every table with the rows that it must hold, table by table.

    Raises:
        psycopg.Error: Postgres does not answer, or a table is not there.
    """
    with psycopg.connect(database, row_factory=dict_row) as connection:
        return {
            table: compare(_rows(connection, table), rows, KEYS[table])
            for table, rows in wanted.items()
        }


def _rows(connection: psycopg.Connection[Any], table: str) -> Iterable[Row]:
    """The table's rows with times in ms."""
    query = psycopg.sql.SQL("SELECT * FROM {}").format(psycopg.sql.Identifier(table))
    for row in connection.execute(query):
        yield {
            name: (value - EPOCH) // timedelta(milliseconds=1)
            if isinstance(value, datetime)
            else value
            for name, value in row.items()
        }


def _told(key: Key) -> str:
    return "|".join(map(str, key))


def _in(*path: str) -> Column:
    """A field of a field; None where one on the way is None."""

    def column(record: Any) -> Any:
        for name in path:
            record = None if record is None else getattr(record, name)
        return record

    return column


def _metric(metric: str, name: str, missing: Any = None) -> Column:
    def column(record: Any) -> Any:
        found = record.metrics.get(metric)
        return missing if found is None else getattr(found, name)

    return column


def _summaries(record: Any) -> Any:
    """Every metric's summary without its histogram, which stays on the topic."""
    found = msgspec.json.decode(msgspec.json.encode(record.metrics))
    return {
        metric: {name: value for name, value in each.items() if name != "histogram"}
        for metric, each in found.items()
    }


WINDOW = ("scope", "window_name", "start_at", "model", "provider", "config_version", "cohort")
SHAPES = (
    Shape(
        "aggregates",
        AGGREGATES.name,
        WINDOW,
        "revision",
        (
            *("scope", "model", "provider", "config_version", "cohort", "service", "endpoint"),
            *("revision", "closed", "watermark", "requests", "success", "errors", "timeouts"),
            *("retries", "errors_by_type"),
        ),
        {
            "window_name": _in("window"),
            "start_at": _in("start"),
            "end_at": _in("end"),
            **{f"latency_{n}_ms": _metric("latency_ms", n) for n in ("mean", "p50", "p95", "p99")},
            "quality_mean": _metric("quality", "mean"),
            "tokens_input": _metric("tokens_input", "sum", 0),
            "tokens_output": _metric("tokens_output", "sum", 0),
            "metrics": _summaries,
        },
    ),
    Shape(
        "aggregates",
        ENRICHED.name,
        WINDOW,
        "revision",
        ("cost_usd", "cost_per_request_usd", "price", "target", "model_card", "missing"),
        {
            **{
                name: _in("window", name)
                for name in ("scope", "model", "provider", "config_version", "cohort", "revision")
            },
            "window_name": _in("window", "window"),
            "start_at": _in("window", "start"),
        },
    ),
    Shape(
        "anomalies",
        ANOMALIES.name,
        ("id",),
        "revision",
        (
            *("id", "scope", "metric", "revision", "is_anomaly", "severity", "confidence"),
            *("actual", "expected", "expected_low", "expected_high", "deviation", "detector"),
            *("samples", "causes", "incident", "suppressed"),
        ),
        {"window_name": _in("window"), "start_at": _in("start"), "end_at": _in("end")},
    ),
    Shape(
        "insights",
        INSIGHTS.name,
        ("id",),
        "revision",
        (
            *("id", "scope", "kind", "metric", "revision", "holds", "at", "direction", "value"),
            *("reference", "low", "high", "relative", "p", "confidence", "subject", "causes"),
            *("method", "samples", "sentence"),
        ),
        {"window_name": _in("window"), "start_at": _in("start"), "end_at": _in("end")},
    ),
    Shape(
        "decisions",
        DECISIONS.name,
        ("id",),
        "at",
        (
            *("id", "scope", "at", "rule", "priority", "action", "strategy", "confidence"),
            *("propensity", "policy", "current", "chosen", "observed", "inputs", "candidates"),
            *("violations", "reasons"),
        ),
        {"provider": _in("chosen", "provider"), "model": _in("chosen", "model")},
    ),
    Shape(
        "deployments",
        DEPLOYMENTS.name,
        ("id", "sequence"),
        "revision",
        (
            *("id", "sequence", "scope", "revision", "at", "phase", "previous", "step", "steps"),
            *("share", "guardrails", "reason", "by", "decision_id", "stable_version"),
            *("candidate_version", "stable_model", "candidate_model"),
        ),
        {"verdict": lambda record: record.verdict.name.lower()},
    ),
    Shape(
        "config_versions",
        CONFIG.name,
        ("scope", "revision"),
        "epoch",
        (
            *("scope", "revision", "epoch", "updated_at", "stable", "candidate", "split"),
            *("reason", "decision_id"),
        ),
        {
            "stable_version": _in("stable", "version"),
            "candidate_version": _in("candidate", "version"),
            "share": lambda record: 0 if record.split is None else record.split.share,
        },
    ),
)
KEYS = {shape.table: shape.key for shape in SHAPES}
COPIED = tuple(shape.topic for shape in SHAPES)
