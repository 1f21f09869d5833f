"""Applications that follow the configs with the client, and note when each change called them back.

Prints a line when all have read the topic whole, and at SIGTERM one JSON document: of each change
that was told to them, the milliseconds from its decision to each callback.

python -m bench.subscribers --clients 25 --first 0
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import defaultdict
from contextlib import ExitStack

import click

from llmopt_client import Client
from llmopt_client.scopes import Change
from streams.settings import current

READY = "ready"
PATIENCE = 30.0  # seconds for all of the topic to be read


@click.command()
@click.option("--clients", default=25, show_default=True, help="How many applications.")
@click.option("--first", default=0, show_default=True, help="The number of the first one.")
def main(*, clients: int, first: int) -> None:
    """Follow the configs until SIGTERM."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    delays: dict[str, list[int]] = defaultdict(list)
    lock = threading.Lock()

    def called(change: Change) -> None:
        now = time.time_ns() // 1_000_000
        with lock:
            delays[f"{change.scope}@{change.revision}"].append(now - change.updated_at)

    with ExitStack() as stack:
        apps = [
            stack.enter_context(Client(current().bootstrap_servers, f"app-{first + i}"))
            for i in range(clients)
        ]
        for each in apps:
            each.subscribe(called)
        if not all(each.ready(PATIENCE) for each in apps):
            raise SystemExit("The configs were not read in time.")
        print(READY, flush=True)
        over.wait()
    print(json.dumps(delays), flush=True)


if __name__ == "__main__":
    main()
