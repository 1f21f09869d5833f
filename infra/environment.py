"""Kafka, schema registry and Postgres together: for a program's time, or until `down`."""

import fcntl
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from infra.kafka.broker import Broker
from infra.postgres.server import Postgres
from infra.process import Released
from infra.registry.process import Registry
from infra.service import Service
from infra.state import DEV, STATE, Running, Started, read

BOOTSTRAP_SERVERS = "LLMOPT_BOOTSTRAP_SERVERS"
SCHEMA_REGISTRY_URL = "LLMOPT_SCHEMA_REGISTRY_URL"
DATABASE_URL = "LLMOPT_DATABASE_URL"


class Environment:
    """What the pipeline runs on: given parts are used, missing ones are started.

    Args:
        folder: Where the started parts keep their data; created when absent.
        say: Told what takes time.
        given: Variables that name running parts: `LLMOPT_BOOTSTRAP_SERVERS`,
            `LLMOPT_SCHEMA_REGISTRY_URL`,
            `LLMOPT_DATABASE_URL`. Others are passed over.
        database: Whether a Postgres is started where none was given.

    Attributes:
        broker: The started broker; None when one was given.
        registry: The started registry; None when one was given.
        postgres: The started Postgres; None when one was given, or none is wanted.
    """

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None] = print,
        *,
        given: Mapping[str, str] | None = None,
        database: bool = True,
    ) -> None:
        self._given = {name: value for name, value in (given or {}).items() if value}
        self._say = say
        self.broker: Broker | None = None
        self.registry: Registry | None = None
        self.postgres: Postgres | None = None
        if BOOTSTRAP_SERVERS not in self._given:
            self.broker = Broker(folder / "kafka", say=say)
        if SCHEMA_REGISTRY_URL not in self._given:
            self.registry = Registry(folder / "registry", self.bootstrap_servers)
        if database and DATABASE_URL not in self._given:
            self.postgres = Postgres(folder / "postgres")

    @classmethod
    def start(
        cls,
        folder: Path,
        say: Callable[[str], None] = print,
        *,
        detached: bool = False,
        given: Mapping[str, str] | None = None,
        database: bool = True,
    ) -> Self:
        """Start what is not given and wait until all of it answers.

        Args:
            folder: As for the class.
            say: As for the class.
            detached: Let the started parts go on when this process ends.
            given: As for the class.
            database: As for the class.

        Raises:
            InfraError: As `begin`.
        """
        environment = cls(folder, say, given=given, database=database)
        environment.begin()
        if detached:
            environment.release()
        return environment

    def begin(self) -> None:
        """Start what is not running: Postgres beside Kafka, the registry after it.

        Raises:
            MissingTool: Java or Maven is needed and missing.
            InstallFailed: Kafka could not be fetched.
            StartFailed: A part did not start. The others are stopped again.
        """
        try:
            self._begin_all()
        except BaseException:
            self.stop()
            raise

    def _begin_all(self) -> None:
        waiting = [part for part in self.parts if not part.alive]
        if waiting:
            self._say(f"Starting {', '.join(part.name for part in waiting)} …")
        with ThreadPoolExecutor(1, "start") as beside:
            database = beside.submit(self._begin, self.postgres)
            self._begin(self.broker)
            self._begin(self.registry)
            database.result()

    @staticmethod
    def _begin(part: Service | None) -> None:
        if part is not None:
            part.start()

    def release(self) -> None:
        """Let the started parts go on when this process ends."""
        for part in self.parts:
            part.release()

    @property
    def bootstrap_servers(self) -> str:
        """Where Kafka is."""
        return (
            self._given[BOOTSTRAP_SERVERS] if self.broker is None else self.broker.bootstrap_servers
        )

    @property
    def registry_url(self) -> str:
        """Where the schema registry is."""
        return self._given[SCHEMA_REGISTRY_URL] if self.registry is None else self.registry.url

    @property
    def database_url(self) -> str:
        """Where Postgres is, with its password; empty where none is wanted."""
        return self._given.get(DATABASE_URL, "") if self.postgres is None else self.postgres.dsn

    @property
    def parts(self) -> list[Service]:
        """The parts that were started, in the order of starting."""
        return [part for part in (self.broker, self.registry, self.postgres) if part is not None]

    def env(self) -> dict[str, str]:
        """The variables that tell a program where everything is."""
        return {
            BOOTSTRAP_SERVERS: self.bootstrap_servers,
            SCHEMA_REGISTRY_URL: self.registry_url,
            DATABASE_URL: self.database_url,
        }

    def stop(self) -> None:
        """Stop what was started; safe to repeat."""
        for part in reversed(self.parts):
            part.stop()

    def __enter__(self) -> Self:
        """Start it."""
        self.begin()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()


def up(
    folder: Path = DEV, say: Callable[[str], None] = print, given: Mapping[str, str] | None = None
) -> Running:
    """Have an environment that stays when this process ends; safe to repeat.

    Args:
        folder: Where its data and `environment.json` are.
        say: Told what takes time.
        given: As for `Environment`; without effect on one that runs already.

    Raises:
        InfraError: It could not be started; nothing is left behind.
    """
    with alone(folder):
        kept = read(folder / STATE)
        if kept is not None and kept.alive():
            say("Already running.")
            return kept
        if kept is not None:
            kept.end()
        # Released only when remembered: whatever happens before takes the processes with it.
        with ExitStack() as undo:
            environment = Environment(folder, say, given=given)
            undo.callback(environment.stop)
            environment.begin()
            started = [(part, Released.of(part.pid)) for part in environment.parts]
            running = Running(
                environment.env(),
                tuple(Started(p.name, r.pid, r.born, p.stop_signal) for p, r in started),
            )
            running.write(folder / STATE)
            environment.release()
            undo.pop_all()
        return running


def down(folder: Path = DEV, say: Callable[[str], None] = print) -> bool:
    """End what `up` has started; safe when it is gone already. The data stays.

    Returns:
        Whether something was running.
    """
    with alone(folder):
        kept = read(folder / STATE)
        if kept is None:
            say("Nothing is running.")
            return False
        say("Stopping …")
        kept.end()
        (folder / STATE).unlink()
        return True


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep two `up` or `down` of one folder from meeting."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
