"""A door before the schema registry that can be slow, or answer that something is wrong."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Door:
    """What happens to who asks at `url`."""

    behind: str  # URL of the registry
    url: str = ""
    delay: float = 0.0  # seconds before it answers
    broken: bool = False  # it answers 500
    asked: int = 0  # while it was slow or broken

    def right(self) -> None:
        """Only hand on from now on."""
        self.delay, self.broken = 0.0, False


@contextmanager
def door(behind: str) -> Iterator[Door]:
    """Open one, on a free port, before the registry whose URL is *behind*."""
    made = Door(behind)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            made.asked += bool(made.delay or made.broken)
            time.sleep(made.delay)
            status, said = (500, b"{}") if made.broken else self.ask()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815  # as http.server names them

        def ask(self) -> tuple[int, bytes]:
            length = int(self.headers.get("Content-Length") or 0)
            request = urllib.request.Request(
                made.behind + self.path,
                data=self.rfile.read(length) if length else None,
                headers={"Content-Type": self.headers.get("Content-Type") or "application/json"},
                method=self.command,
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return answer.status, answer.read()
            except urllib.error.HTTPError as error:
                return error.code, error.read()
            except OSError:
                return 502, b"{}"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a worker was killed
    made.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
