import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest
from confluent_kafka.admin import AdminClient

from infra import environment as subject
from infra.environment import DATABASE_URL, Environment, down, up
from infra.errors import StartFailed
from infra.process import birth
from infra.state import STATE, running
from streams.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("own_servers")]


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="llmopt-test-"))
    yield made
    shutil.rmtree(made)


def answers(variables: dict[str, str]) -> bool:
    """Whether all three answer at the addresses that *variables* give."""
    servers, registry, database = variables.values()
    admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
    with psycopg.connect(database) as session, urllib.request.urlopen(registry) as response:
        return bool(
            session.execute("SELECT 1").fetchone()
            and 200 == response.status
            and admin.list_topics(timeout=10).brokers
        )


def processes(folder: Path) -> list[str]:
    """The command lines that name *folder*, which those of all parts do."""
    lines = subprocess.run(["ps", "-ewwo", "pid,args"], capture_output=True, text=True, check=True)
    return [line for line in lines.stdout.splitlines() if str(folder) in line]


PARENT = """
import signal, sys, time
from pathlib import Path
from infra.environment import Environment
# A program that a shell has started in the background would not be interrupted.
signal.signal(signal.SIGINT, signal.default_int_handler)
environment = Environment.start(Path(sys.argv[1]), say=lambda _: None)
print(*(part.pid for part in environment.parts), flush=True)
time.sleep(300)
"""


@contextlib.contextmanager
def program(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another program, that starts an environment, prints the pids of its parts, and stays."""
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def vanish(folder: Path, pids: list[int], within: float = 10.0) -> bool:
    deadline = time.monotonic() + within
    while any(birth(pid) for pid in pids) or processes(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_left_behind_by_a_program_that_ends(folder: Path, number: int) -> None:
    with program(folder) as parent:
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]

        assert 3 == len(pids)
        assert processes(folder)

        parent.send_signal(number)
        parent.wait(30)

    assert vanish(folder, pids)


def test_a_program_killed_while_starting_leaves_nothing(folder: Path) -> None:
    with program(folder) as parent:
        while not any("kafka.Kafka" in line for line in processes(folder)):
            assert parent.poll() is None
            time.sleep(0.02)

    assert vanish(folder, [])


def test_up_outlives_its_program_and_down_ends_it(folder: Path) -> None:
    script = (
        f"from pathlib import Path; from infra.environment import up; up(Path({str(folder)!r}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    kept = running(folder)

    assert "Starting kafka, registry, postgres …\n" == said.stdout
    assert kept is not None
    assert answers(kept.env())
    assert 0o600 == (folder / STATE).stat().st_mode & 0o777

    heard: list[str] = []

    assert kept == up(folder, heard.append)
    assert ["Already running."] == heard
    assert down(folder, heard.append)
    assert running(folder) is None
    assert vanish(folder, [])
    assert not down(folder, heard.append)
    assert "Nothing is running." == heard[-1]


def test_up_repairs_what_was_killed_meanwhile(folder: Path) -> None:
    first = up(folder, say=lambda _: None)
    os.kill(first.processes[0].pid, signal.SIGKILL)

    assert first.processes[0].process.wait(5.0)
    assert running(folder) is None

    second = up(folder, say=lambda _: None)

    assert first.env() == second.env()
    assert answers(second.env())
    assert down(folder, say=lambda _: None)
    assert vanish(folder, [])


def test_what_is_given_is_not_started(
    environment: Environment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with Environment(folder, say=pytest.fail, given=environment.env()) as given:
        assert environment.env() == given.env()
        assert [] == given.parts


def test_a_given_kafka_gets_a_registry_and_a_database(
    environment: Environment, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    heard: list[str] = []
    servers = {subject.BOOTSTRAP_SERVERS: environment.bootstrap_servers, DATABASE_URL: ""}
    with Environment(folder, say=heard.append, given=servers) as mixed:
        assert ["registry", "postgres"] == [part.name for part in mixed.parts]
        assert answers(mixed.env())
    assert ["Starting registry, postgres …"] == heard


def entered(folder: Path, say: Callable[[str], None], given: Mapping[str, str]) -> None:
    with Environment(folder, say, given=given):
        pytest.fail("a registry started without a log")


@pytest.mark.parametrize("start", [up, Environment.start, entered])
def test_when_one_part_fails_the_others_are_stopped(
    folder: Path, start: Callable[..., object]
) -> None:
    (folder / "registry" / "registry.log").mkdir(parents=True)  # in the way

    with pytest.raises(StartFailed, match=r"registry\.log"):
        start(folder, lambda _: None, given={subject.BOOTSTRAP_SERVERS: "127.0.0.1:1"})

    assert vanish(folder, [])
    assert running(folder) is None


def test_where_no_database_is_wanted_none_is_started(folder: Path) -> None:
    servers = {subject.BOOTSTRAP_SERVERS: "127.0.0.1:1", subject.SCHEMA_REGISTRY_URL: "http://r"}
    with Environment(folder, say=pytest.fail, given=servers, database=False) as env:
        assert [] == env.parts
        assert "" == Settings.read(env.env()).database_url
