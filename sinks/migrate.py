"""Bring a database to the tables that this program writes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from sinks.errors import MigrationRefused, Unavailable

FOLDER = Path(__file__).with_name("migrations")
LOCK = 0x6C6C6D6F7074  # "llmopt": whoever holds it migrates, others wait
TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load(folder: Path = FOLDER) -> list[Migration]:
    """The migrations of *folder*, by number.

    Raises:
        MigrationRefused: a name does not start with a four-digit number, or the numbers are not
            1, 2, 3 …
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_\w+", path.stem)
        if match is None:
            raise MigrationRefused(
                f"{path.name} is no migration: name it like 0002_what_it_does.sql."
            )
        found.append(Migration(int(match[1]), path.stem, path.read_text(encoding="utf-8")))
    for expected, migration in enumerate(found, start=1):
        if migration.number != expected:
            raise MigrationRefused(
                f"{migration.name} should have the number {expected:04d}: "
                "migrations are numbered without gaps, each number once."
            )
    return found


def pending(known: Sequence[Migration], applied: Mapping[int, tuple[str, str]]) -> list[Migration]:
    """What is left to apply.

    Args:
        known: The program's migrations.
        applied: Number → name and checksum, as the database remembers them.

    Raises:
        MigrationRefused: an applied file has changed since, or is not known here.
    """
    by_number = {migration.number: migration for migration in known}
    for number, (name, checksum) in sorted(applied.items()):
        if number not in by_number:
            raise MigrationRefused(
                f"The database has migration {name}, which this program does not know: "
                "it was written by a newer one. Run that one, or use another database."
            )
        if by_number[number].checksum != checksum:
            raise MigrationRefused(
                f"{by_number[number].name}.sql was changed after it was applied: "
                "put the applied text back and write what is new into a migration of its own."
            )
    return [migration for migration in known if migration.number not in applied]


def migrate(dsn: str, folder: Path = FOLDER) -> list[str]:
    """Apply what is missing, each file in a transaction, under a lock that lets one in at a time.

    Returns:
        The names of the migrations applied now.

    Raises:
        MigrationRefused: files and database do not fit, or Postgres does not take a file.
        Unavailable: Postgres does not answer.
    """
    known = load(folder)
    try:
        with psycopg.connect(dsn, autocommit=True, connect_timeout=5) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
            connection.execute(TABLE.encode())
            applied = {
                number: (name, checksum)
                for number, name, checksum in connection.execute(
                    "SELECT number, name, checksum FROM schema_migrations"
                )
            }
            missing = pending(known, applied)
            for migration in missing:
                _apply(connection, migration)
            return [migration.name for migration in missing]
    except psycopg.OperationalError as error:
        raise Unavailable(f"Postgres does not answer: {str(error).strip()}") from error


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute(migration.sql.encode())
            connection.execute(
                "INSERT INTO schema_migrations (number, name, checksum) VALUES (%s, %s, %s)",
                [migration.number, migration.name, migration.checksum],
            )
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationRefused(
            f"Postgres does not take {migration.name}.sql: {str(error).strip()}"
        ) from error
