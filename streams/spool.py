"""Commands given on this machine while no broker took them: kept on disk until they are told.

A stop must hold though nobody can put it on its topic. It is put here, one file a command, and
every worker of this machine looks here before it writes. Whoever writes first puts it on the topic
and reads it back, so that the journal and other machines know it as any other command.

The later word wins. A hold that a RESUME given later lifts, and a RESUME of a hold that was given
later, are dropped instead of told; `at` says which was later, so the clocks of the machines from
which people command must agree better than people can.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from schemas.command import Command, CommandKind
from schemas.scope import ALL

FOLDER = "commands"
HOLDING = (CommandKind.PAUSE, CommandKind.STOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """A command, and the brokers that whoever gave it had meant."""

    brokers: frozenset[str]
    command: Command


class Spool:
    """The commands of one machine that wait to be told to one cluster.

    A cluster is known by its brokers' addresses: a command reaches the workers that name at least
    one of those that it names.

    Args:
        folder: The state folder of the machine.
        brokers: host:port, separated by commas.
    """

    def __init__(self, folder: Path, brokers: str) -> None:
        self.folder = folder / FOLDER
        self.brokers = addresses(brokers)
        self.unread: Mapping[str, str] = {}  # what the last look could not read, and why
        self.barred = ""  # why the folder, which is there, may not be listed by us at all
        self._read: dict[str, Spooled | None] = {}  # by file; None: it is no command
        self._over: set[str] = set()  # ids of commands that need not be told any more

    def put(self, command: Command) -> None:
        """Keep *command*; once this returns it outlives the machine's power.

        Raises:
            OSError: it could not be kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{max(self._last() + 1, command.at):013d}-{command.id}.json"
        spooled = Spooled(brokers=self.brokers, command=command)
        write_durably(self.folder / name, msgspec.json.encode(spooled, order="deterministic"))

    def waiting(self) -> tuple[Command, ...]:
        """What waits for this cluster, in the order in which it was given.

        Cheap enough for each round: where nothing has changed, nothing but the names is read. What
        could not be read is `unread`, and tried again at the next look.
        """
        names, read = self._look()
        return tuple(
            each.command
            for name in names
            if (each := read[name]) is not None
            and each.brokers & self.brokers
            and each.command.id not in self._over
        )

    def keeps(self, command: Command) -> bool:
        """Whether *command* may still wait, be it readable or not."""
        try:
            return bool(self._files(command))
        except OSError:
            return True

    def remove(self, command: Command) -> None:
        """Forget *command*, which is told, or overtaken."""
        self._over.add(command.id)
        try:
            for name in self._files(command):
                (self.folder / name).unlink(missing_ok=True)
        except OSError as error:  # it stays, and is passed over
            from streams.log import log  # noqa: PLC0415  # a stop does not wait for that

            log.warning("spooled command not removed", id=command.id, why=str(error))

    def withdraw(self, resume: Command) -> tuple[Command, ...]:
        """Forget the holds that *resume* lifts; those that were.

        Raises:
            OSError: the folder is not ours to open.
        """
        if not self.waiting():
            return ()
        with self.alone():
            lifted = tuple(each for each in self.waiting() if overtaken(each, [resume]))
            for each in lifted:
                self.remove(each)
        return lifted

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else tells or withdraws meanwhile.

        Raises:
            OSError: the folder is not there, or not ours to open.
        """
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _look(self) -> tuple[list[str], dict[str, Spooled | None]]:
        """The files that could be read now or before, and what is in each."""
        try:
            names = self._names()
        except OSError as error:
            self._note({str(self.folder): error})
            return sorted(self._read), self._read
        read, failed = self._read, {}
        if read.keys() != set(names):
            read = {name: read[name] for name in names if name in read}
            for name in names:
                if name not in read:
                    try:
                        read[name] = self._load(name)
                    except OSError as error:
                        failed[str(self.folder / name)] = error
            self._read = read  # another thread may look, too
        self._note(failed)
        return [name for name in names if name in read], read

    def _note(self, failed: Mapping[str, OSError]) -> None:
        """Note what could not be read and may be a stop, and say it once."""
        news = failed.keys() - self.unread.keys()
        self.unread = {file: _why(error) for file, error in failed.items()}
        for file in sorted(news):
            from streams.log import log  # noqa: PLC0415  # a stop does not wait for that

            log.error("spooled command cannot be read", file=file, why=str(failed[file]))

    def _names(self) -> list[str]:
        """The files of commands by name.

        Raises:
            OSError: they could not be listed, though there may be some.
        """
        try:
            found = os.listdir(self.folder)  # noqa: PTH208  # a tenth of the time of its Path
        except (FileNotFoundError, NotADirectoryError):
            found = []  # nobody could put one there
        except PermissionError as error:
            self.barred = _why(error)
            return []  # a worker works without, as `Presence` says
        self.barred = ""
        return sorted(name for name in found if name.endswith(".json"))

    def _files(self, command: Command) -> list[str]:
        return [name for name in self._names() if name.endswith(f"-{command.id}.json")]

    def _last(self) -> int:
        return max((int(name[:13]) for name in self._names() if name[:13].isdigit()), default=0)

    def _load(self, name: str) -> Spooled | None:
        """What is in a file; None if that is no command, or the file has gone.

        Raises:
            OSError: nobody knows.
        """
        try:
            return msgspec.json.decode((self.folder / name).read_bytes(), type=Spooled)
        except FileNotFoundError:
            return None
        except msgspec.MsgspecError as error:
            from streams.log import log  # noqa: PLC0415  # the same

            log.error("spooled command refused", file=str(self.folder / name), why=str(error))
            return None


def _why(error: OSError) -> str:
    return error.strerror or str(error)


def addresses(brokers: str) -> frozenset[str]:
    """The addresses in a list of brokers, each as everybody writes it.

    >>> sorted(addresses("PLAINTEXT://Kafka-2:9092, kafka-1:9092"))
    ['kafka-1:9092', 'kafka-2:9092']
    """
    return frozenset(
        re.sub(r"^\w+://", "", each.strip()).lower() for each in brokers.split(",") if each.strip()
    )


def overtaken(command: Command, others: Iterable[Command]) -> bool:
    """Whether one of *others* was given later than *command*, and says the contrary."""
    return any(each.at > command.at and _contrary(command, each) for each in others)


def _contrary(one: Command, other: Command) -> bool:
    """Whether one is a hold and the other lifts it."""
    for resume, hold in ((one, other), (other, one)):
        if resume.kind is CommandKind.RESUME and hold.kind in HOLDING:
            return resume.scope in (ALL, hold.scope)
    return False


def write_durably(file: Path, content: bytes) -> None:
    """Write *file* whole or not at all; it is on the disk when this returns.

    Raises:
        OSError: it could not be written.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}")
    with part.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    part.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
