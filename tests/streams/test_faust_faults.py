"""Faults of Faust as they are: where one fails, Faust has mended it, and we may use it again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from faust.cli.agents import agents
from faust.tables import base
from faust.transport.consumer import Consumer
from faust.types import TP
from intervaltree import IntervalTree

AT = TP("t", 0)
HOUR = 3_600.0


@pytest.fixture
def app() -> faust.App:
    return faust.App("test", broker="kafka://127.0.0.1:1", store="memory://")


async def commits(acked: list[int], gaps: list[tuple[int, int]]) -> list[int]:
    """The offsets that Faust would commit, call by call, once the messages *acked* are done.

    The gaps are noted as its consumer notes them: up to and with the message that comes after one.
    """
    known = SimpleNamespace(
        _acked=defaultdict(list, {AT: acked}),
        _acked_index=defaultdict(set),
        _gap=defaultdict(IntervalTree),
        _committed_offset=defaultdict(lambda: None),
        sleep=asyncio.sleep,
    )
    for first, last in gaps:
        await Consumer._add_gap(known, AT, first, last)
    found = []
    while (offset := Consumer._new_offset(known, AT)) is not None:
        found.append(offset)
        known._committed_offset[AT] = offset
    return found


async def test_a_commit_of_faust_passes_a_message_in_flight() -> None:
    # Its #606: 4 is a marker, 5 is still worked on.
    assert [7] == await commits([3, 6], [(4, 5)])


async def test_a_commit_of_faust_advances_by_one_transaction() -> None:
    # 1, 3, 5 and 7 are done, what is between them are markers.
    assert 4 == (await commits([1, 3, 5, 7], [(2, 3), (4, 5), (6, 7)]))[0]


@pytest.fixture
def closed() -> list[str]:
    return []


@pytest.fixture
def table(app: faust.App, closed: list[str]) -> Any:
    """A table of windows of ten seconds that are kept for one more."""

    def close(key: Any, _: object) -> None:
        closed.append(key[0])

    return app.Table("t", default=int, on_window_close=close).tumbling(10.0, expires=1.0).table


def put(table: Any, key: str, at: float, partition: int) -> None:
    """What a write to a window does."""
    where = (key, (at, at + 9.9))
    table.data[where] = 1
    table._maybe_set_key_ttl(where, partition)


async def test_on_window_close_of_faust_is_called_for_one_partition_and_the_rest_is_deleted(
    table: Any, closed: list[str]
) -> None:
    at = time.time() - HOUR
    for partition in range(4):
        put(table, f"key-{partition}", at, partition)
    await table._del_old_keys()

    assert (["key-0"], {}) == (closed, dict(table.data))


async def test_a_window_of_faust_expires_by_the_clock_though_its_events_go_on(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(table, "key", time.time() - HOUR, 0)
    kept = len(table.data)
    monkeypatch.setattr(base, "time", SimpleNamespace(time=lambda: time.time() - HOUR))
    await table._del_old_keys()
    live = len(table.data)
    monkeypatch.undo()
    await table._del_old_keys()

    assert (1, 1, 0) == (kept, live, len(table.data))


async def test_a_window_of_faust_that_was_open_at_a_restart_is_never_closed(
    table: Any, closed: list[str]
) -> None:
    put(table, "key", time.time() - HOUR, 0)
    # Recovery reads the values from the changelog, and nothing else.
    again = table.clone()
    again.data.update(table.data)
    await again._del_old_keys()

    assert ([], 1) == (closed, len(again.data))


async def test_what_faust_subscribes_to_without_an_agent_is_refused(app: faust.App) -> None:
    topics = await app.topics._update_indices()
    with pytest.raises(TypeError):
        AIOKafkaConsumer.subscribe(SimpleNamespace(), topics)  # type: ignore[arg-type]


def test_faust_does_not_list_agents_of_channels(app: faust.App) -> None:
    async def work(_: Any) -> None: ...

    app.agent(app.topic("t"), name="of-a-topic")(work)
    app.agent(app.channel(), name="of-a-channel")(work)
    command = agents.__new__(agents)
    command.app = app
    listed = command.agents()

    assert ["of-a-topic"] == [each.name for each in listed]


CONFLUENT = """
from types import SimpleNamespace
from faust.transport.drivers import confluent
topics = {"t": {"partitions": range(48)}}
reader = SimpleNamespace(list_topics=lambda _: SimpleNamespace(topics=topics))
thread = SimpleNamespace(_ensure_consumer=lambda: SimpleNamespace(consumer=reader))
kind = confluent.ConfluentConsumerThread
print([kind.key_partition(thread, "t", b"key-%d" % i) for i in range(9)])
"""


def test_the_partitioner_of_fausts_confluent_transport_is_salted() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", CONFLUENT],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert 2 == len(told)


def test_fausts_confluent_transport_has_no_assignor(
    app: faust.App, monkeypatch: pytest.MonkeyPatch
) -> None:
    from faust.transport.drivers import confluent

    given: list[dict[str, Any]] = []
    monkeypatch.setattr(confluent, "AsyncConsumer", lambda config, *_, **__: given.append(config))
    thread = SimpleNamespace(app=app, logger=None)
    thread.transport = SimpleNamespace(url=app.conf.broker, default_port=9092)
    confluent.ConfluentConsumerThread._create_worker_consumer(thread, thread.transport, None)

    assert [True] == ["partition.assignment.strategy" not in each for each in given]
