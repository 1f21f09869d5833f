from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from schemas.command import Command, CommandKind
from streams.alone import keep, local
from streams.cli.give import kept
from streams.cli.status import troubles
from streams.presence import FOLDER, Presence, present
from streams.settings import Settings
from streams.spool import Spool

STOP = Command(id="1", kind=CommandKind.STOP, scope="*", at=1_000, by="ada")
BROKERS = "127.0.0.1:9"
DYING = """
import os, pathlib, sys
from streams.presence import Presence
from streams.spool import Spool
folder = pathlib.Path(sys.argv[1])
Presence(folder, Spool(folder, sys.argv[2]), "dead", ["actuate"]).start()
os.kill(os.getpid(), 9)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(bootstrap_servers=BROKERS, state_dir=str(tmp_path))


def here(folder: Path, name: str = "w-1", *stages: str, brokers: str = BROKERS) -> Presence:
    made = Presence(folder, Spool(folder, brokers), name, stages or ("actuate",))
    made.start()
    return made


def test_a_worker_is_present_from_its_start_to_its_end(tmp_path: Path) -> None:
    worker = here(tmp_path, "w-1", "collect", "actuate")
    there = present(tmp_path, BROKERS)
    worker.stop()

    assert [("w-1", ("collect", "actuate"))] == [(each.worker, each.stages) for each in there]
    assert [] == present(tmp_path, BROKERS)
    assert [] == list((tmp_path / FOLDER).iterdir())


def test_a_worker_that_was_killed_is_not_present(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", DYING, str(tmp_path), BROKERS], check=False)
    left = len(list((tmp_path / FOLDER).iterdir()))

    assert (-9, 2) == (done.returncode, left)
    assert [] == present(tmp_path, BROKERS)
    assert [] == list((tmp_path / FOLDER).iterdir())


def test_a_stop_reaches_every_actuator_of_its_cluster(settings: Settings, tmp_path: Path) -> None:
    workers = [
        here(tmp_path, "a"),
        here(tmp_path, "b", brokers=f"{BROKERS},other:1"),
        here(tmp_path, "c", "collect"),
        here(tmp_path, "d", brokers="other:1"),
    ]
    began = time.monotonic()
    found = keep(settings, STOP)
    took = time.monotonic() - began
    for each in workers:
        each.stop()

    assert (True, ["a", "b"]) == (found.holds, sorted(each.worker for each in found.reached))
    assert took < 1
    assert kept(found, "No broker.").startswith("Stopped on this machine: all scopes, by ")
    assert "a (process" in kept(found, "No broker.")
    assert "will write nothing before it is told." in kept(found, "No broker.")
    assert kept(found, "No broker.").endswith("No broker. See `llmopt status`.")


def test_a_worker_that_does_not_look_is_missed(settings: Settings, tmp_path: Path) -> None:
    awake, asleep = here(tmp_path, "awake"), here(tmp_path, "asleep")
    asleep._told.set()  # as one whose process is stopped
    asleep._thread.join()
    found = keep(settings, STOP)
    for each in (awake, asleep):
        each.stop()

    assert (False, ["awake"], ["asleep"]) == (
        found.holds,
        [each.worker for each in found.reached],
        [each.worker for each in found.missed],
    )
    assert "asleep (process" in kept(found, "")
    assert "has not taken note of it" in kept(found, "")


def test_where_no_actuator_runs_nothing_holds(settings: Settings) -> None:
    found = keep(settings, STOP)

    assert not found.holds
    assert "no worker with the actuator runs on this machine" in kept(found, "")
    assert (STOP,) == local(settings).waiting


def test_a_resume_withdraws_the_stop_of_before_and_waits_itself(settings: Settings) -> None:
    resume = replace(STOP, id="2", kind=CommandKind.RESUME, at=2_000)
    keep(settings, STOP)
    found = keep(settings, resume)

    assert ((STOP,), (resume,)) == (found.lifted, local(settings).waiting)
    assert "Lifted: the stop of all scopes by " in kept(found, "")


def test_a_resume_that_cannot_be_kept_leaves_the_stop_of_before(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    keep(settings, STOP)
    monkeypatch.setattr(Spool, "put", full)
    with pytest.raises(OSError, match="No space left"):
        keep(settings, replace(STOP, id="2", kind=CommandKind.RESUME, at=2_000))

    assert (STOP,) == local(settings).waiting


def test_a_stop_that_cannot_be_read_back_is_not_said_to_be_told(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    worker = here(tmp_path)
    worker._told.set()  # as one whose process is stopped
    worker._thread.join()
    monkeypatch.setattr(Spool, "_load", refuse)
    found = keep(settings, STOP)
    worker.stop()

    assert not found.holds


def test_what_could_not_be_said_once_is_said_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = here(tmp_path)
    say, fulls = worker._say, iter([True])

    def full_once(own: Any) -> None:
        if next(fulls, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        say(own)

    monkeypatch.setattr(worker, "_say", full_once)
    found = keep(settings, STOP)
    worker.stop()

    assert found.holds


def test_a_worker_whose_lock_cannot_be_looked_at_is_not_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    worker = here(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        patch.setattr(Path, "unlink", lambda *_, **__: pytest.fail("it lives"))
        seen = present(tmp_path, BROKERS)
    later = present(tmp_path, BROKERS)
    worker.stop()

    assert ["w-1"] == [each.worker for each in seen] == [each.worker for each in later]


def test_a_worker_that_lives_counts_though_what_it_says_cannot_be_read(
    settings: Settings, tmp_path: Path
) -> None:
    worker = here(tmp_path, "w-of-two-parts")
    worker._told.set()  # it says nothing more
    worker._thread.join()
    worker._file(".json").write_text('{"pid": ')
    found, there = keep(settings, STOP), local(settings)
    worker.stop()

    assert [("w-of-two-parts", os.getpid(), worker.own.since, False)] == [
        (each.worker, each.pid, each.since, each.told) for each in there.workers
    ]
    assert (False, ["w-of-two-parts"]) == (found.holds, [each.worker for each in found.missed])
    assert [f"w-of-two-parts (process {os.getpid()}) runs on this machine, but"] == [
        said[: said.index("but") + 3] for said in troubles(there)
    ]
    assert () == local(settings).workers


def test_a_worker_that_ends_while_it_is_looked_at_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = here(tmp_path)
    read = Path.read_bytes

    def end_first(file: Path) -> bytes:
        worker.stop()
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", end_first)

    assert [] == present(tmp_path, BROKERS)


def test_a_file_that_cannot_be_read_is_told(settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "commands" / "1-x.json"  # a folder cannot be read, whoever asks
    folder.mkdir(parents=True)
    there = local(settings)

    assert ({str(folder): "Is a directory"}, "") == (there.unread, there.barred)
    assert [f"{folder} cannot be read (Is a directory) and may be a stop:"] == [
        said[: said.index(":") + 1] for said in troubles(there)
    ]


def test_a_folder_that_may_not_be_listed_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "listdir", refuse)
    there = local(settings)

    assert ({}, "Permission denied") == (there.unread, there.barred)
    assert ["may not be listed by you (Permission denied)" in said for said in troubles(there)] == [
        True
    ]


def test_a_state_folder_that_cannot_be_written_stops_no_worker(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    worker = here(tmp_path / "file")
    worker.stop()

    assert "let the worker write to LLMOPT_STATE_DIR" in capsys.readouterr().err


def test_a_told_command_counts_as_noted(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = here(tmp_path)
    put: Callable[[Spool, Command], None] = Spool.put

    def put_and_tell(spool: Spool, command: Command) -> None:
        put(spool, command)
        spool.remove(command)

    monkeypatch.setattr(Spool, "put", put_and_tell)
    found = keep(settings, STOP)
    worker.stop()

    assert found.holds
