"""Copy each task's state once in a while, beside its commits, so that a replay can start there."""

from __future__ import annotations

import threading
import time
import zlib
from collections.abc import Sequence

from streams import metrics
from streams.clock import now_ms
from streams.exactly_once.snapshot import copy
from streams.exactly_once.source import Source
from streams.log import log
from streams.settings import Settings

LOOK = 1.0  # seconds between two looks at what is due
LAST = 5.0  # seconds that the end of a copy is waited for


class Snapshots:
    """A thread that copies what this worker owns, each partition at its own time of the interval.

    It reads topics and writes one; a commit knows nothing of it. A copy that fails is made the next
    time: replays then start at the one before.
    """

    def __init__(self, settings: Settings, sources: Sequence[Source]) -> None:
        self.settings = settings
        self.sources = tuple(sources)
        self.told = threading.Event()
        # A daemon, for the end of the process must not wait for a broker that is away.
        self.thread = threading.Thread(target=self.run, name="snapshots", daemon=True)
        self.done: dict[tuple[str, int], int] = {}  # stage, partition -> number of its interval

    def start(self) -> None:
        """Begin."""
        self.thread.start()

    def stop(self) -> None:
        """Make no more copies."""
        self.told.set()
        self.thread.join(LAST)

    def run(self) -> None:
        """Look for what is due until told to stop."""
        while not self.told.wait(LOOK):
            for source in self.sources:
                session = source.session
                owned = [] if session is None else sorted(session.tasks)
                for partition in self.due(source.stage.name, owned, now_ms()):
                    if not self.told.is_set():
                        self.copy(source, partition)

    def due(self, stage: str, owned: Sequence[int], now: int) -> list[int]:
        """Which of the partitions *owned* have an interval behind them at *now* (ms).

        The intervals of all partitions of all stages begin at different times.
        """
        found = []
        for partition in owned:
            number = interval(stage, partition, now, self.settings.snapshot_interval_ms)
            if self.done.setdefault((stage, partition), number) != number:
                self.done[stage, partition] = number
                found.append(partition)
        return found

    def copy(self, source: Source, partition: int) -> None:
        """Copy one; what goes wrong is told, and hurts nobody now."""
        stage, started = source.stage.name, time.monotonic()
        try:
            made = copy(stage, partition, source.codec, self.settings.bootstrap_servers, now_ms())
        except Exception as error:  # noqa: BLE001  # no failure of it may end the worker
            log.warning("state not copied", stage=stage, partition=partition, why=str(error))
            return
        if made is not None:
            metrics.count("snapshots_total", stage=stage)
            log.debug(
                "state copied",
                stage=stage,
                partition=partition,
                commit=made.sequence,
                entries=made.entries,
                bytes=made.bytes,
                seconds=round(time.monotonic() - started, 3),
            )


def interval(stage: str, partition: int, now: int, length: int) -> int:
    """The number of the interval of *length* (ms) that *now* (ms) is in."""
    return (now + zlib.crc32(f"{stage}:{partition}".encode()) % length) // length
