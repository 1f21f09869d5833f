"""Postgres: rows and the position they reach, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg import sql

from schemas import windowrows
from schemas.columns import Ints
from schemas.window import EnrichedWindow
from sinks import binary
from sinks.errors import Behind, Refused, Unavailable
from sinks.rows import TABLES, WINDOWS, Table, Values, row
from sinks.windows import COLUMNS, newest, taken, tuples

At = tuple[str, int]  # topic and partition
CONNECTION = {
    "connect_timeout": 5,
    "application_name": "llmopt",
    # A database that is frozen, or gone without a word, must look down, not slow.
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    # The last transactions may be lost in a crash of Postgres, and their positions with them: the
    # next batch then does not join on, and is read from Kafka again. So nobody waits for the disk.
    "options": "-c synchronous_commit=off -c statement_timeout=60000 -c timezone=UTC",
}
POSITION = """
INSERT INTO positions (topic, partition, next_offset) VALUES (%s, %s, %s)
ON CONFLICT (topic, partition) DO UPDATE SET next_offset = EXCLUDED.next_offset, updated_at = now()
WHERE EXCLUDED.next_offset > positions.next_offset"""
# What is wrong with the values, and will be at the next try too.
UNFIT = (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded, ValueError)


@dataclass(frozen=True, slots=True)
class Record:
    """A record of schemas/ and where it came from; a tombstone (None) stores nothing."""

    topic: str
    partition: int
    offset: int
    value: object


@dataclass(frozen=True, slots=True)
class Windows:
    """Enriched windows of one topic that were read many at once, and where each came from."""

    topic: str
    places: Sequence[tuple[int, int]]  # [n] partition and offset
    table: Any  # RecordBatch of n EnrichedWindow, no slice

    @property
    def revisions(self) -> Ints:
        """[n]."""
        found: Ints = self.table["window"].field("revision").to_numpy()
        return found

    def records(self) -> list[Record]:
        """The same one by one.

        Raises:
            ValueError: as `schemas.windowrows.windows`.
        """
        read = windowrows.windows(EnrichedWindow, self.table)
        return [
            Record(self.topic, *place, value)
            for place, value in zip(self.places, read, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Span:
    """The offsets [start, end) of a partition that were read."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order of their topics, and what was read of every partition to find them."""

    records: Sequence[Record]
    spans: Mapping[At, Span]
    windows: Sequence[Windows] = ()  # further records


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that will never be a row, and why."""

    record: Record
    error: Refused


Staged = tuple[Record, Values]


class Postgres:
    """The tables of `sinks/migrations` on one connection, opened when it is needed.

    Args:
        dsn: The connection string.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: psycopg.Connection | None = None

    def write(self, batch: Batch, refuse: Callable[[Sequence[Refusal]], None] | None = None) -> int:
        """Store a batch and its positions in one transaction; safe to repeat, in any order.

        A row replaces an older revision only, and a position never goes back.

        Args:
            batch: What to store.
            refuse: Told of the records that can never be stored, before the transaction commits,
                so that none is lost between two stores; it may see one twice.

        Returns:
            How many rows were inserted or replaced.

        Raises:
            Unavailable: Postgres is down, slow or not migrated; nothing was written.
            Behind: Postgres has not what came before the batch (a crash, a restored backup);
                nothing was written.
            Refused: A record can never be stored and there is no *refuse*; nothing was written.
        """
        refused: list[Refusal] = []
        with self._session() as connection, connection.transaction():
            _join(connection, batch.spans)
            records, stored = [*batch.records], 0
            for windows in batch.windows:
                count = _put_windows(connection, windows)
                stored += count or 0
                if count is None:  # one by one it turns out which of them it is
                    records += windows.records()
            staged = _newest(records, refused)
            stored += sum(_put(connection, table, rows, refused) for table, rows in staged.items())
            if refused:
                if refuse is None:
                    raise refused[0].error
                refuse(refused)
            with connection.cursor() as cursor:
                reached = [(*at, span.end) for at, span in sorted(batch.spans.items())]
                cursor.executemany(POSITION, reached)
        return stored

    def positions(self) -> dict[At, int]:
        """Topic partition → next offset that is not in the tables yet.

        Raises:
            Unavailable: as `write`.
        """
        with self._session() as connection:
            found = connection.execute("SELECT topic, partition, next_offset FROM positions")
            return {(topic, partition): offset for topic, partition, offset in found}

    def rewind(self, positions: Mapping[At, int]) -> None:
        """Set positions, also backwards: for a topic that was made anew or is to be read again.

        Raises:
            Unavailable: as `write`.
        """
        with self._session() as connection, connection.transaction():
            for (topic, partition), offset in sorted(positions.items()):
                connection.execute(
                    "DELETE FROM positions WHERE topic = %s AND partition = %s", [topic, partition]
                )
                connection.execute(POSITION.encode(), [topic, partition, offset])

    def close(self) -> None:
        """Drop the connection; the next use opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _session(self) -> Iterator[psycopg.Connection]:
        """The connection; a failure of the far side closes it and becomes `Unavailable`."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = _connect(self._dsn)
            yield self._connection
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn) as error:
            self.close()
            raise Unavailable(
                "Postgres has not the tables of this program: run `llmopt dev up` or start a "
                "worker with the store stage, which create them."
            ) from error
        except psycopg.Error as error:
            self.close()
            raise Unavailable(f"Postgres does not take part: {first_line(error)}") from error
        except BaseException:
            self.close()
            raise


def first_line(error: Exception) -> str:
    """What Postgres says, without its hints."""
    return str(error).strip().partition("\n")[0]


def _connect(dsn: str) -> psycopg.Connection:
    connection = psycopg.connect(dsn, autocommit=True, **CONNECTION)  # type: ignore[arg-type]
    try:
        for table in TABLES:
            create = "CREATE TEMP TABLE {} (LIKE {} INCLUDING DEFAULTS) {} ON COMMIT DELETE ROWS"
            staging, stored = sql.Identifier(f"new_{table.name}"), sql.Identifier(table.name)
            connection.execute(sql.SQL(create).format(staging, stored, _options(connection, table)))
    except BaseException:
        connection.close()
        raise
    return connection


def _options(connection: psycopg.Connection, table: Table) -> sql.Composable:
    """How *table* is stored, which LIKE leaves out: staged rows are squeezed as those kept are."""
    found = connection.execute(
        "SELECT split_part(each, '=', 1), split_part(each, '=', 2)"
        " FROM pg_class, unnest(reloptions) AS each WHERE oid = to_regclass(%s)",
        [table.name],
    ).fetchall()
    each = [sql.SQL("{} = {}").format(sql.Identifier(name), value) for name, value in found]
    return sql.SQL("WITH ({})").format(sql.SQL(", ").join(each)) if each else sql.SQL("")


def _join(connection: psycopg.Connection, spans: Mapping[At, Span]) -> None:
    """Check that nothing is missing between what is stored and what comes."""
    found = connection.execute("SELECT topic, partition, next_offset FROM positions")
    stored = {(topic, partition): offset for topic, partition, offset in found}
    for at, span in spans.items():
        if span.start > stored.get(at, 0):
            raise Behind(
                f"Postgres is at offset {stored.get(at, 0)} of {at[0]}[{at[1]}], "
                f"the batch begins at {span.start}: what is between was lost."
            )


def _newest(records: Sequence[Record], refused: list[Refusal]) -> dict[Table, list[Staged]]:
    """The newest row of each primary key, by table."""
    found: dict[Table, dict[Values, Staged]] = {table: {} for table in TABLES}
    newer = {table: table.columns.index(table.newer) for table in TABLES}
    for record in records:
        if record.value is None:
            continue
        try:
            table, values = row(record.value)
        except Refused as error:
            refused.append(Refusal(record, error))
            continue
        key, at = values[: table.key], newer[table]
        known = found[table].get(key)
        if known is None or known[1][at] < values[at]:  # type: ignore[operator]  # both integers
            found[table][key] = (record, values)
    return {table: list(rows.values()) for table, rows in found.items()}


def _put(
    connection: psycopg.Connection, table: Table, rows: Sequence[Staged], refused: list[Refusal]
) -> int:
    """Store *rows*: the first versions straight into the table, the others in place of theirs."""
    if table.first is None:
        return _store(connection, table, rows, refused)
    newer = table.columns.index(table.newer)
    first = [each for each in rows if each[1][newer] == table.first]
    others = [each for each in rows if each[1][newer] != table.first]
    try:
        with connection.transaction(), connection.cursor() as cursor:
            _copy(cursor, sql.Identifier(table.name), table, first)
    except UNFIT:  # one is there already, when they are read again; or has a value that is unfit
        return _store(connection, table, rows, refused)
    return len(first) + _store(connection, table, others, refused)


def _put_windows(connection: psycopg.Connection, windows: Windows) -> int | None:
    """Store *windows* as `_put` does, without an object for each; None where one is unfit."""
    try:
        found, at = tuples(windows.table), newest(windows.table)
        first = at[windows.revisions[at] == WINDOWS.first]
        others = at[windows.revisions[at] != WINDOWS.first]
        with connection.transaction():
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    _copy_binary(cursor, sql.Identifier(WINDOWS.name), taken(found, first))
                stored = len(first)
            except UNFIT:  # as in `_put`
                stored, others = 0, at
            fill = partial(_copy_binary, tuples=taken(found, others))
            return stored + (_upsert(connection, WINDOWS, fill) if len(others) else 0)
    except (Refused, *UNFIT):
        return None


def _store(
    connection: psycopg.Connection, table: Table, rows: Sequence[Staged], refused: list[Refusal]
) -> int:
    """Copy and upsert *rows*; halve them when a value is unfit, until only the unfit are left."""
    if not rows:
        return 0
    try:
        with connection.transaction():
            return _upsert(connection, table, partial(_copy, table=table, rows=rows))
    except UNFIT as error:
        if len(rows) == 1:
            why = Refused(f"Postgres refuses the row for {table.name}: {first_line(error)}")
            refused.append(Refusal(rows[0][0], why))
            return 0
        half = len(rows) // 2
        return _store(connection, table, rows[:half], refused) + _store(
            connection, table, rows[half:], refused
        )


def _copy(
    cursor: psycopg.Cursor, target: sql.Identifier, table: Table, rows: Sequence[Staged]
) -> None:
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(target, _columns(table.columns))
    with cursor.copy(command) as copy:
        for _, values in rows:
            copy.write_row(values)


def _copy_binary(cursor: psycopg.Cursor, target: sql.Identifier, tuples: binary.Piece) -> None:
    command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, _columns(COLUMNS))
    with cursor.copy(command) as copy:
        for part in binary.stream(tuples):
            copy.write(part)


def _columns(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _upsert(
    connection: psycopg.Connection,
    table: Table,
    fill: Callable[[psycopg.Cursor, sql.Identifier], None],
) -> int:
    staging = sql.Identifier(f"new_{table.name}")
    with connection.cursor() as cursor:
        fill(cursor, staging)
        cursor.execute(_merge(table, staging))
        stored = cursor.rowcount
        # The staged rows of the other half of a batch that was halved must not come again.
        cursor.execute(sql.SQL("DELETE FROM {}").format(staging))
    return stored


def _merge(table: Table, staging: sql.Identifier) -> sql.Composed:
    name, newer = sql.Identifier(table.name), sql.Identifier(table.newer)
    changes = (
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(column))
        for column in table.columns[table.key :]
    )
    return sql.SQL(
        "INSERT INTO {name} ({columns}) SELECT {columns} FROM {staging} "
        "ON CONFLICT ({key}) DO UPDATE SET {changes} WHERE EXCLUDED.{newer} > {name}.{newer}"
    ).format(
        name=name,
        columns=_columns(table.columns),
        staging=staging,
        key=sql.SQL(", ").join(map(sql.Identifier, table.columns[: table.key])),
        changes=sql.SQL(", ").join(changes),
        newer=newer,
    )
