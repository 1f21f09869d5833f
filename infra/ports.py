"""Ports on the loopback interface that a folder's servers keep from one start to the next."""

import json
import random
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the range that systems give to outgoing connections: a client that keeps trying to reconnect
# to a server that is away could otherwise be given the server's own port, connect to itself, and
# keep the server from coming back.
FIRST, LAST = 15_000, 32_000


def free(port: int) -> bool:
    """Whether a server could listen on *port* now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listening(port: int) -> bool:
    """Whether somebody listens on *port*."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def claim(folder: Path, name: str, wanted: int | None = None) -> int:
    """The port for a server: the wanted one, else the one it had, else a free one.

    Args:
        folder: Where the choice is remembered, in `ports.json`.
        name: The server's name within the folder.
        wanted: A port that was asked for; taken as it is.

    Returns:
        A port number.
    """
    file = folder / "ports.json"
    remembered: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
    port = wanted or remembered.get(name)
    chance = random.SystemRandom()
    while port is None or (port != wanted and not free(port)):
        port = chance.randrange(FIRST, LAST)
    remembered[name] = port
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(remembered) + "\n")
    return port
