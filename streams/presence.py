"""Which workers run on this machine, and which spooled commands each has taken note of."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from streams.clock import now_ms
from streams.log import log
from streams.spool import Spool, addresses

FOLDER = "workers"
LOOK = 0.1  # seconds between two looks into the spool: one list of an empty folder each


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """A worker as it describes itself; only as its file is called, where that cannot be read."""

    pid: int
    worker: str
    stages: tuple[str, ...]
    brokers: tuple[str, ...]
    since: int  # ms since the epoch
    noted: tuple[str, ...] = ()  # ids of spooled commands that it writes nothing before it has told
    told: bool = True  # otherwise its stages, its brokers and what it has noted are not known


class Presence:
    """A thread that says that this worker is here, and what it has found in the spool.

    It is there for as long as a lock on its file is held, which the system lets go whatever ends
    the process. A worker whose state folder cannot be written works without: a warning says so.

    Args:
        folder: The state folder of the machine.
        spool: Of the worker's cluster.
        worker: The worker's name.
        stages: What it runs.
    """

    def __init__(self, folder: Path, spool: Spool, worker: str, stages: Sequence[str]) -> None:
        self.folder = folder / FOLDER
        self.spool = spool
        self.own = Present(
            pid=os.getpid(),
            worker=worker,
            stages=tuple(stages),
            brokers=tuple(sorted(spool.brokers)),
            since=now_ms(),
        )
        self._told = threading.Event()
        self._lock: int | None = None
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)

    def start(self) -> None:
        """Begin."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._file(".lock"), os.O_CREAT | os.O_RDWR, 0o644)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._say(self.own)
        except OSError as error:
            log.warning(
                "commands given on this machine are not seen while the broker is away",
                why=str(error),
                change="let the worker write to LLMOPT_STATE_DIR",
            )
            return
        self._thread.start()

    def stop(self) -> None:
        """Not here any more."""
        self._told.set()
        if self._thread.is_alive():
            self._thread.join(1)
        if self._lock is not None:
            for suffix in (".json", ".lock"):
                self._file(suffix).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _run(self) -> None:
        unsaid: tuple[str, ...] = ()
        while not self._told.wait(LOOK):
            noted = tuple(each.id for each in self.spool.waiting())
            if noted == self.own.noted:
                continue
            own = replace(self.own, noted=noted)
            try:
                self._say(own)
            except OSError as error:  # until it is said the command counts as not noted
                if noted != unsaid:
                    log.warning("cannot say what was noted", why=str(error))
                unsaid = noted
            else:
                self.own = own

    def _say(self, own: Present) -> None:
        part = self._file(".part")
        part.write_bytes(msgspec.json.encode(own))
        part.rename(self._file(".json"))

    def _file(self, suffix: str) -> Path:
        return self.folder / f"{self.own.worker}-{self.own.pid}-{self.own.since}{suffix}"


def present(folder: Path, brokers: str) -> list[Present]:
    """The workers of this machine that name at least one of *brokers*; what the dead left goes.

    Whoever holds its lock lives, and counts also where nobody can read which brokers it names.
    """
    found = []
    for file in sorted((folder / FOLDER).glob("*.json")):
        if not _held(file.with_suffix(".lock")):
            with suppress(OSError):  # another's to remove
                file.unlink()
                file.with_suffix(".lock").unlink()
            continue
        with suppress(FileNotFoundError):  # it has just ended
            found.append(_read(file))
    mine = addresses(brokers)
    return [each for each in found if not each.told or mine.intersection(each.brokers)]


def _read(file: Path) -> Present:
    """How a worker describes itself in *file*, or what the file's name says of it.

    Raises:
        FileNotFoundError: it does not any more.
    """
    try:
        return msgspec.json.decode(file.read_bytes(), type=Present)
    except FileNotFoundError:
        raise
    except (OSError, msgspec.MsgspecError):
        worker, pid, since = file.stem.rsplit("-", 2)
        return Present(
            pid=int(pid), worker=worker, stages=(), brokers=(), since=int(since), told=False
        )


def _held(lock: Path) -> bool:
    """Whether some process holds *lock*, or may: one that cannot be asked is not dead."""
    try:
        file = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False
