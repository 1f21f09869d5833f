"""The schema registry as a child process."""

import http.client
import sys
from pathlib import Path

from infra import ports
from infra.process import Command
from infra.service import Service

TREE = Path(__file__).parents[2]


class Registry(Service):
    """A registry that keeps its schemas in a Kafka.

    Args:
        folder: Its log; the schemas are in Kafka.
        bootstrap_servers: That Kafka.
        port: Where clients connect; None keeps the folder's former port or takes a free one.
        detached: Let it go on when this process ends.
    """

    name = "registry"

    def __init__(
        self,
        folder: Path,
        bootstrap_servers: str,
        port: int | None = None,
        *,
        detached: bool = False,
    ) -> None:
        super().__init__(folder, detached=detached)
        self.bootstrap_servers = bootstrap_servers
        self.port = ports.claim(self.folder, "registry", port)

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://{ports.LOOPBACK}:{self.port}"

    def _prepare(self) -> None:
        pass

    def _command(self) -> Command:
        return Command(
            [
                *(sys.executable, "-m", "infra.registry"),
                *("--bootstrap-servers", self.bootstrap_servers, "--port", str(self.port)),
            ],
            folder=self.folder,
            log=self.log,
            environment={"PYTHONPATH": str(TREE)},
        )

    def _answers(self) -> bool:
        if not ports.listening(self.port):
            return False
        connection = http.client.HTTPConnection(ports.LOOPBACK, self.port, timeout=2.0)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == http.HTTPStatus.OK
        except OSError:
            return False
        finally:
            connection.close()
