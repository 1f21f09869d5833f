"""What the registry does: look up, check, register, delete."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from infra.registry.compatibility import Level, breaks
from infra.registry.errors import incompatible, no_subject_config
from infra.registry.log import SchemaLog
from infra.registry.subjects import (
    Record,
    Subjects,
    Version,
    compact,
    config_key,
    delete_key,
)

T = TypeVar("T")
TAIL_EVERY = 0.2  # seconds between two looks at what another registry wrote


class SchemaRegistry:
    """The subjects and the log that holds them.

    Reading needs no Kafka. A change is answered when it is committed and read back.

    Args:
        log: The topic.
    """

    def __init__(self, log: SchemaLog) -> None:
        self.subjects = Subjects()
        self._log = log
        self._thread = ThreadPoolExecutor(1, "schema-log")
        self._tail: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Read the topic whole and follow it from now on."""
        self._take(await self._in_thread(self._log.open))
        self._tail = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following and let go of Kafka."""
        if self._tail is not None:
            self._tail.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tail
        await self._in_thread(self._log.close)
        self._thread.shutdown()

    async def schema(self, number: int) -> str | None:
        """The schema with an id; None when there is none."""
        if self.subjects.schema(number) is None:
            # Another registry may have given it a moment ago, to a record that is here already.
            with contextlib.suppress(TimeoutError):
                self._take(await self._in_thread(lambda: self._log.read_to_end(2.0)))
        return self.subjects.schema(number)

    async def register(self, subject: str, schema: str) -> Version:
        """Make a schema the subject's next version, or find the version that it already is.

        Raises:
            Refused: It is no schema, or breaks the subject's compatibility.
            Unwritten: Kafka did not take it.
        """
        text = compact(schema)

        def decide() -> list[Record]:
            if self.subjects.same(subject, text) is not None:
                return []
            reasons = self.breaks(subject, text)
            if reasons:
                raise incompatible(subject, reasons)
            return [self.subjects.next(subject, text).record()]

        found = self.subjects.same(subject, text)
        if found is None:
            await self._change(decide)
            found = self.subjects.same(subject, text)
        # Between the commit and here another registry may have deleted it again.
        return found or self.subjects.next(subject, text)

    def breaks(self, subject: str, schema: str, number: int | None = None) -> list[str]:
        """Why a schema may not follow the subject's versions, or one of them."""
        earlier = [v.schema for v in self.subjects.all(subject) if number in {None, v.number}]
        return breaks(self.subjects.effective_level(subject), schema, earlier)

    async def delete_subject(self, subject: str) -> list[int]:
        """Hide all versions of a subject; their ids stay readable.

        Raises:
            Refused: It has none.
            Unwritten: Kafka did not take it.
        """
        deleted: list[int] = []

        def decide() -> list[Record]:
            deleted[:] = [version.number for version in self.subjects.versions(subject)]
            return [(delete_key(subject), {"subject": subject, "version": deleted[-1]})]

        await self._change(decide)
        return deleted

    async def delete_version(self, subject: str, number: int | None) -> int:
        """Hide one version of a subject; its id stays readable.

        Raises:
            Refused: It does not exist.
            Unwritten: Kafka did not take it.
        """
        deleted: list[int] = []

        def decide() -> list[Record]:
            version = self.subjects.version(subject, number)
            deleted[:] = [version.number]
            return [version.record(deleted=True)]

        await self._change(decide)
        return deleted[0]

    async def set_level(self, subject: str | None, level: Level) -> None:
        """Set the compatibility of a subject, or of all that have none of their own (None).

        Raises:
            Unwritten: Kafka did not take it.
        """
        value = {"compatibilityLevel": level.value}
        await self._change(lambda: [(config_key(subject), value)])

    async def unset_level(self, subject: str) -> Level:
        """Let a subject follow the global level again; returns the level it had.

        Raises:
            Refused: It has none of its own.
            Unwritten: Kafka did not take it.
        """
        level = self.subjects.level(subject)
        if level is None:
            raise no_subject_config(subject)
        await self._change(lambda: [(config_key(subject), None)])
        return level

    async def _change(self, decide: Callable[[], Sequence[Record]]) -> None:
        loop = asyncio.get_running_loop()

        async def informed(news: list[Record]) -> Sequence[Record]:
            self._take(news)
            return decide()

        def ask(news: list[Record]) -> Sequence[Record]:
            return asyncio.run_coroutine_threadsafe(informed(news), loop).result()

        self._take(await self._in_thread(lambda: self._log.write(ask)))

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(TAIL_EVERY)
            self._take(await self._in_thread(self._log.read_new))

    def _take(self, records: list[Record]) -> None:
        for record in records:
            # A record that another program shaped differently must not keep the registry from
            # starting.
            with contextlib.suppress(KeyError, TypeError, ValueError):
                self.subjects.apply(*record)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)
