"""A real Kafka broker as a child process, with its own folder and ports."""

import base64
import secrets
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from infra import ports
from infra.errors import StartFailed
from infra.kafka.install import HERE, install, java
from infra.kafka.properties import render, settings
from infra.process import Command
from infra.service import TAIL, Service


def silent(_: str) -> None:
    """Say nothing."""


class Broker(Service):
    """One KRaft node: controller and broker in one process.

    Args:
        folder: Its settings, logs and data.
        port: Where clients connect; None keeps the folder's former port or takes a free one.
        detached: Let it go on when this process ends.
        say: Told what takes time (fetching Kafka, once).
    """

    name = "kafka"

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        *,
        detached: bool = False,
        say: Callable[[str], None] = silent,
    ) -> None:
        super().__init__(folder, detached=detached)
        self.port = ports.claim(self.folder, "broker", port)
        self._controller_port = ports.claim(self.folder, "controller")
        self._say = say
        self._jars = Path()
        self._admin: Any = None

    @property
    def bootstrap_servers(self) -> str:
        """What clients connect to, `host:port`."""
        return f"{ports.LOOPBACK}:{self.port}"

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _prepare(self) -> None:
        self._jars = install(self._say)
        values = settings(self._data, self.port, self._controller_port)
        (self.folder / "server.properties").write_text(render(values))
        if not self._data.exists():
            self._format()

    def _format(self) -> None:
        """Give the storage its identity, in a folder that takes its place only when whole."""
        partial = self.folder / "data.partial"
        shutil.rmtree(partial, ignore_errors=True)
        values = settings(partial, self.port, self._controller_port)
        file = self.folder / "format.properties"
        file.write_text(render(values))
        cluster = base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")
        quick = ["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        done = subprocess.run(
            [
                *(*self._java(*quick), "kafka.tools.StorageTool", "format", "--standalone"),
                # With "=", for one id in 64 begins with a dash.
                *(f"--cluster-id={cluster}", "--config", str(file)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise StartFailed(
                f"Kafka could not format {partial}.\n{(done.stdout + done.stderr)[-TAIL:]}"
            )
        file.unlink()
        partial.rename(self._data)

    def _command(self) -> Command:
        heap = ["-Xms256m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError"]
        return Command(
            [*self._java(*heap), "kafka.Kafka", str(self.folder / "server.properties")],
            folder=self.folder,
            log=self.folder / "kafka.out",
            environment={},
        )

    def _java(self, *options: str) -> list[str]:
        return [
            str(java()),
            *options,
            "-XX:-UsePerfData",
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            f"-Dllmopt.folder={self.folder}",
            "-cp",
            f"{self._jars}/*",
        ]

    def _answers(self) -> bool:
        # Listening is not enough: a broker that came back is fenced until the controller has let it
        # in again.
        if not ports.listening(self.port):
            return False
        if self._admin is None:
            self._admin = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})
        try:
            there = bool(self._admin.describe_cluster(request_timeout=2.0).result(3.0).nodes)
        except (KafkaException, TimeoutError):
            return False
        if there:
            self._admin = None
        return there

    def _tail(self) -> str:
        said = self.folder / "kafka.out"
        return super()._tail() + (said.read_text(errors="replace")[-TAIL:] if said.exists() else "")
