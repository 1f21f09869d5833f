import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.postgres.server import Postgres

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_servers")]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    folder = Path(tempfile.mkdtemp(prefix="llmopt-test-"))
    with Postgres(folder) as started:
        yield started
    shutil.rmtree(folder)


def test_it_is_a_postgres_18_in_utc(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn) as session:
        version = session.info.server_version
        zone = session.execute("SHOW timezone").fetchone()

    assert 18 == version // 10_000
    assert ("UTC",) == zone


def test_what_was_committed_survives_a_kill(postgres: Postgres) -> None:
    with psycopg.connect(postgres.dsn) as session:
        session.execute("CREATE TABLE kept (n integer)")
        session.execute("INSERT INTO kept SELECT generate_series(1, 1000)")
    with psycopg.connect(postgres.dsn) as open_one:
        open_one.execute("INSERT INTO kept VALUES (-1)")
        os.kill(postgres.pid, signal.SIGKILL)
        postgres.restart()
        with contextlib.suppress(psycopg.OperationalError):
            open_one.commit()
    with psycopg.connect(postgres.dsn) as session:
        found = session.execute("SELECT count(*), min(n) FROM kept").fetchone()

    assert (1000, 1) == found


def test_it_comes_back_although_a_session_was_busy_when_it_was_killed(postgres: Postgres) -> None:
    def work() -> None:
        with (
            contextlib.suppress(psycopg.OperationalError),
            psycopg.connect(postgres.dsn) as session,
        ):
            session.execute("SELECT max(sqrt(n)) FROM generate_series(1, 10000000000) AS n")

    busy = threading.Thread(target=work)
    busy.start()
    active = (
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%%sqrt%%' AND state = 'active'"
    )
    with psycopg.connect(postgres.dsn, autocommit=True) as session:
        while session.execute(active).fetchone() != (2,):  # the busy one and this one
            time.sleep(0.02)
    postgres.kill()
    postgres.start()
    busy.join(5)

    assert not busy.is_alive()
    with psycopg.connect(postgres.dsn) as session:
        assert (1,) == session.execute("SELECT 1").fetchone()


def test_without_the_password_nobody_gets_in(postgres: Postgres) -> None:
    head, _, tail = postgres.dsn.rpartition("@")
    wrong = f"{head.rpartition(':')[0]}:wrong@{tail}"

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
