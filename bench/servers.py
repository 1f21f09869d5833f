"""The servers of a bench, and the processes that it runs beside them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from confluent_kafka import Producer

from infra.environment import Environment
from infra.process import Command, Process
from schemas.codec import Codec
from schemas.registry import RegistryClient
from streams.provision import apply, register
from streams.settings import Settings

CORES = 2


keeping = click.option(
    "--keep", is_flag=True, help="Keep the data and logs, and say where they are."
)


def put(
    producer: Producer, topic: str, value: bytes | None, key: str | None = None, partition: int = -1
) -> None:
    """Hand a record to the producer; wait while its queue is full."""
    while True:
        try:
            producer.produce(topic, value, key, partition)
        except BufferError:
            producer.poll(0.1)
        else:
            return


@dataclass(frozen=True, slots=True)
class Servers:
    """A broker and a registry with all topics, and the folder of their data and logs."""

    env: Environment
    settings: Settings
    folder: Path
    codec: Codec

    @property
    def broker(self) -> int:
        """The process id of the broker, whose processor time is told."""
        if self.env.broker is None:
            raise SystemExit("The bench starts a broker of its own, to know its processor time.")
        return self.env.broker.pid

    @property
    def postgres(self) -> int:
        """The process id of the database server."""
        if self.env.postgres is None:
            raise SystemExit("The bench starts a Postgres of its own, to know its processor time.")
        return self.env.postgres.pid

    def child(self, name: str, *arguments: str) -> AbstractContextManager[Process]:
        """A Python process of ours that ends with the block; its output is *name*.log."""
        return self.program(name, [sys.executable, "-m", *arguments])

    @contextmanager
    def program(self, name: str, command: Sequence[str]) -> Iterator[Process]:
        """A process that ends with the block; its output is *name*.log."""
        where = {name: value for name, value in self.settings.environment().items() if value}
        process = Process(Command(command, Path.cwd(), self.folder / f"{name}.log", where))
        try:
            yield process
        finally:
            process.send(signal.SIGTERM)
            if not process.wait(20):
                process.send(signal.SIGKILL)
                process.wait(10)

    def sent(self, producer: Process) -> int:
        """End the load, and say how many events there were."""
        producer.send(signal.SIGTERM)
        if not producer.wait(60) or producer.exit_code:
            raise SystemExit(f"The producer failed: {self.last_words('load')}")
        return int(json.loads(self.last_words("load"))["sent"])

    def last_words(self, name: str) -> str:
        """The last line that a child has printed."""
        lines = (self.folder / f"{name}.log").read_text().splitlines()
        return (lines or ["it said nothing."])[-1]


@contextmanager
def servers(*, keep: bool = False, database: bool = False) -> Iterator[Servers]:
    """Servers of the bench's own, on two cores, in a folder that goes with them unless *keep*.

    Args:
        keep: Leave the data and logs where they are, and say where.
        database: Start a Postgres, too.
    """
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    folder = Path(tempfile.mkdtemp(prefix="llmopt-bench-"))
    try:
        with Environment.start(
            folder, lambda line: print(line, file=sys.stderr), database=database
        ) as env:
            settings = Settings(
                bootstrap_servers=env.bootstrap_servers,
                schema_registry_url=env.registry_url,
                database_url=env.database_url if database else "",
                state_dir=str(folder / "state"),
            )
            apply(settings)
            register(settings)
            with RegistryClient(env.registry_url) as registry:
                yield Servers(env, settings, folder, Codec(registry))
    finally:
        if keep:
            print(f"The data is kept in {folder}.", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)
