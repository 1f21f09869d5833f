"""Faust, as it is: an agent that reads, one that keeps a windowed table, one that has none.

`on_window_close` hands over the windows. It goes by the clock, which is of no use with events of
a while ago: so windows are kept for a week, and when all is read the peer has Faust close minute
after minute, by the call that its timer makes.

Without a table the agent keeps its windows in a dictionary of the process, and hands over a key's
minute when an event of that key is two minutes younger. What it has read is committed meanwhile:
whoever starts it again after a crash does not have the events of the windows that were open.
"""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import faust
from faust.serializers.codecs import Codec

from bench.peers.summary import MINUTE, Event, Progress, Summary, Work, add, empty, key_of, read
from bench.peers.summary import shown as as_shown


class Avro(Codec):  # framed, as the metrics are
    """Framed Avro."""

    def _loads(self, s: bytes) -> Event:
        return read(s)


def app_of(work: Work) -> faust.App:
    """An application with defaults wherever the bench does not ask for something else."""
    return faust.App(
        work.group,
        broker=f"kafka://{work.brokers}",
        store="memory://",
        datadir=work.folder,
        consumer_auto_offset_reset="earliest",
        topic_disable_leader=True,
        web_enabled=False,
    )


def build(work: Work) -> faust.App:
    """The application that does *work*."""
    app, progress = app_of(work), Progress(work.events)
    source = app.topic(work.topic, value_serializer=Avro())
    output = app.topic(work.output, value_serializer="raw")
    if not work.windowed:
        reading(app, source, progress)
    elif work.own_memory:
        remembering(app, source, output, progress)
    else:
        tabulating(app, source, output, progress, work)
    return app


async def send(output: Any, key: str, start: int, summary: Summary) -> None:
    """Write a window."""
    await output.send(value=json.dumps(as_shown(key, start, summary)).encode())


def reading(app: faust.App, source: Any, progress: Progress) -> None:
    """An agent that reads."""

    @app.agent(source)
    async def raw(stream: Any) -> None:
        async for _ in stream:
            progress.took()


def remembering(app: faust.App, source: Any, output: Any, progress: Progress) -> None:
    """An agent that keeps its windows in memory."""

    @app.agent(source)
    async def summed(stream: Any) -> None:
        kept: dict[str, dict[int, Summary]] = {}
        async for event in stream:
            for window in took(kept, event):
                await send(output, *window)
            progress.took()


def tabulating(app: faust.App, source: Any, output: Any, progress: Progress, work: Work) -> None:
    """An agent that keeps its windows in a table."""

    async def closed(key: tuple[str, tuple[float, float]], summary: Summary) -> None:
        name, (start, _) = key
        await send(output, name, round(start * 1_000), summary)

    base = app.Table("windows", default=empty, partitions=work.partitions, on_window_close=closed)
    table = base.tumbling(MINUTE / 1_000, expires=timedelta(days=7)).relative_to_stream()

    @app.agent(source)
    async def windowed(stream: Any) -> None:
        async for event in stream:
            key = key_of(event)
            table[key] = add(table[key].value(), event)
            progress.took()
            if progress.count == work.events:
                await close_all(base)


def took(kept: dict[str, dict[int, Summary]], event: Event) -> list[tuple[str, int, Summary]]:
    """Add *event* to its window; the windows of its key that are over with it."""
    key, minute = key_of(event), event["timestamp"] // MINUTE * MINUTE
    open_ = kept.setdefault(key, {})
    open_[minute] = add(open_.get(minute) or empty(), event)
    over = [start for start in sorted(open_) if start + 2 * MINUTE <= minute]
    return [(key, start, open_.pop(start)) for start in over]


async def close_all(table: Any) -> None:
    """Let the table's windows become too old, one minute after another."""
    for end in sorted({end for times in table._partition_timestamps.values() for end in times}):  # noqa: SLF001  # no public name
        table.window.expires = time.time() - end - 0.001
        await table._del_old_keys()  # noqa: SLF001  # the same


if __name__ == "__main__":
    faust.Worker(
        build(Work.of()), loglevel="WARNING", redirect_stdouts=False
    ).execute_from_commandline()
