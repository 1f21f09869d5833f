"""The store stage: what people query is copied to Postgres, beside the engine."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from mode import Service

from streams.settings import Settings


class Store(Service):  # type: ignore[misc]  # mode publishes no types
    """Follows the derived topics into Postgres in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.told = threading.Event()
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self.running: asyncio.Future[None] | None = None

    async def on_start(self) -> None:
        """Begin to follow."""
        from streams.follow import run  # noqa: PLC0415  # psycopg only where it is used

        self.running = asyncio.get_running_loop().run_in_executor(
            self.thread, run, self.settings, self.told
        )

    async def on_stop(self) -> None:
        """End after the batch in hand."""
        self.told.set()
        if self.running is not None:
            await self.running
        self.thread.shutdown(wait=False)
