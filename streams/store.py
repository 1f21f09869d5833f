"""The store stage: what people query is copied to Postgres, beside the engine."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from mode import Service

from streams.log import log
from streams.settings import Settings


class Store(Service):  # type: ignore[misc]  # mode publishes no types
    """Follows the derived topics into Postgres in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.told = threading.Event()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self.running: asyncio.Future[None] | None = None
        self.failure: BaseException | None = None  # what ended it before it was told to stop
        self.done = asyncio.Event()

    async def on_start(self) -> None:
        """Begin to follow."""
        from streams.follow import run  # noqa: PLC0415  # psycopg only where it is used

        self.running = asyncio.get_running_loop().run_in_executor(
            self.thread, run, self.settings, self.told
        )
        self.running.add_done_callback(self.ended)

    def ended(self, running: asyncio.Future[None]) -> None:
        """It follows no more: told to, without a Postgres to follow into, or by a failure."""
        failure = running.exception()
        if failure is not None:
            self.fail(failure)

    def fail(self, failure: BaseException) -> None:
        """It cannot follow, or not any more: say so, and let the worker end."""
        self.failure = failure
        log.critical("stopping", stage="store", why=str(failure), exc_info=failure)
        self.done.set()

    async def on_stop(self) -> None:
        """End after the batch in hand."""
        self.told.set()
        if self.running is not None:
            await asyncio.wait([self.running])
        self.thread.shutdown(wait=False)
