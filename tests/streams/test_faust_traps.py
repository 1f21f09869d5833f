"""What Faust is known to do wrong, one test each: the pipeline is not subject to it.

Where the fault itself is cheap to show it is shown, so that a version that mends it is noticed.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import faust
import numpy as np
import pytest
from faust.types import TopicT

from processors.collect import CollectPolicy, Read
from processors.collect import fresh as collecting
from processors.collect import step as collect
from processors.merge import MergePolicy
from processors.merge import fresh as merging
from processors.merge import step as merge
from schemas.codec import Codec
from schemas.decode import decode_events
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.metric import MetricEvent
from schemas.partial import Partial
from schemas.registry import LocalRegistry
from schemas.topics import CONFIG_ACK, METRICS, PARTIALS, STAGES, TOPICS
from schemas.window import MINUTE, WindowAggregate
from streams import app as subject
from streams.exactly_once.session import Home
from streams.exactly_once.source import Batch, Batches, Source
from streams.settings import Settings
from streams.stages import make

T0 = 1_760_000_100_000  # five whole minutes
YEAR = 365 * 86_400_000
CODEC = Codec(LocalRegistry())


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Iterator[faust.App]:
    """The application of a worker that runs every stage."""
    monkeypatch.setattr(subject, "partitions_of", lambda _: dict.fromkeys(TOPICS, 4))
    settings = Settings()
    made, sources = subject.assemble(settings, "w", [make(stage, settings) for stage in STAGES])
    yield made
    for source in sources:
        source.thread.shutdown()


@pytest.fixture
def source() -> Iterator[Source]:
    app = faust.App("test", broker="kafka://127.0.0.1:1", store="memory://")
    made = Source(app, make("detect", Settings())[0], CODEC, Home("127.0.0.1:1", "w", {}))
    yield made
    made.thread.shutdown()


def works(n: int) -> list[Any]:
    read, task = SimpleNamespace(inputs=[]), SimpleNamespace(state=None)
    return [
        SimpleNamespace(outcome=None, stepped=False, policy=None, task=task, read=read, moment=None)
        for _ in range(n)
    ]


def stepped(*_: Any) -> Outcome[None]:
    return Outcome(None)


async def test_a_commit_does_not_pass_a_message_in_flight(source: Source) -> None:
    # Faust commits what lies behind a message that another one of its partition has overtaken.
    first, second = works(2)
    listening = aiter(source.channel)
    round_ = asyncio.create_task(source.hand_out([first, second]))
    await asyncio.sleep(0)
    await Batch(second, source).commit(stepped)
    done, _ = await asyncio.wait([round_], timeout=0.05)

    assert set() == done
    assert source.channel.subscriber_count == 1, listening
    await Batch(first, source).commit(stepped)
    await asyncio.wait_for(round_, 1.0)


async def test_the_first_batch_waits_for_the_agent_that_faust_starts_last(source: Source) -> None:
    (work,) = works(1)
    round_ = asyncio.create_task(source.hand_out([work]))
    await asyncio.sleep(0.05)
    found = await asyncio.wait_for(anext(aiter(source.channel)), 1.0)
    await found.value.commit(stepped)
    await asyncio.wait_for(round_, 1.0)


async def test_a_batch_that_a_crashed_agent_held_is_handed_out_again(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Faust starts the agent again, but what it held is gone from its channel.
    monkeypatch.setattr("streams.exactly_once.source.HAND_OUT_AGAIN", 0.05)
    (work,) = works(1)
    agent = aiter(source.channel)
    round_ = asyncio.create_task(source.hand_out([work]))
    lost = await asyncio.wait_for(anext(agent), 1.0)
    again = await asyncio.wait_for(anext(agent), 1.0)
    await again.value.commit(stepped)
    await asyncio.wait_for(round_, 1.0)

    assert lost.value.work is again.value.work is work


async def test_a_batch_outlives_the_rebalance_that_empties_fausts_channels() -> None:
    app = faust.App("test", broker="kafka://127.0.0.1:1", store="memory://")
    theirs, ours = app.channel(), Batches(app, maxsize=10)
    waiting = [aiter(theirs), aiter(ours)]
    app.flow_control.resume()
    for channel in (theirs, ours):
        await channel.send(value="batch")
    app.flow_control.suspend()
    app.flow_control.clear()

    assert [0, 1] == [each.queue.qsize() for each in waiting]
    # Not even while it lasts does anybody have to wait.
    assert "batch" == (await asyncio.wait_for(anext(waiting[1]), 1.0)).value


def test_fausts_own_consumer_reads_nothing_that_must_be_exact(whole: faust.App) -> None:
    # Its commits are late on transactional topics, its exactly_once duplicates and hangs.
    read = [a.channel for a in whole.agents.values() if isinstance(a.channel, TopicT)]

    assert [(CONFIG_ACK.name,)] == [tuple(each.topics) for each in read]
    assert len(STAGES) == sum(isinstance(a.channel, Batches) for a in whole.agents.values())
    assert "at_least_once" == whole.conf.processing_guarantee.value


def test_no_state_is_in_a_table_whose_writes_are_apart_from_the_outputs(whole: faust.App) -> None:
    assert [] == list(whole.tables.data)
    assert {"memory"} == {whole.conf.store.scheme}


def test_a_worker_has_an_agent_on_an_ordinary_topic_whatever_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Without one Faust's conductor crashes.
    monkeypatch.setattr(subject, "partitions_of", lambda _: {})
    made, _ = subject.assemble(Settings(), "w", [])

    assert [True] == [isinstance(each.channel, TopicT) for each in made.agents.values()]


def test_a_worker_does_not_wait_for_a_crashed_agents_stream_to_be_empty(whole: faust.App) -> None:
    # It would not obey SIGTERM any more.
    assert whole.conf.stream_wait_empty is False


def test_fausts_transport_without_an_assignor_is_not_used(whole: faust.App) -> None:
    assert {"kafka"} == {each.scheme for each in whole.conf.broker}


def test_a_scopes_partition_is_the_same_in_every_process() -> None:
    # The partitioner of Faust's confluent transport is salted: another one in each process.
    code = (
        "from schemas.scope import partition_of as p; print([p(f's{i}/e', 48) for i in range(9)])"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }

    assert 1 == len(told)


def moment(partition: int, now: int = T0) -> Moment:
    return Moment(now=now, seed=1, epoch=1, partition=partition, partitions=2)


def partials(*ats: int, now: int = T0) -> list[Emit]:
    """What collect makes of an event of each of eight scopes at each of these times."""
    events = [
        MetricEvent(
            timestamp=at, service=f"s{i}", endpoint="e", model="m", provider="p", latency_ms=1.0,
            tokens_input=1, tokens_output=1,
        )
        for at in ats
        for i in range(8)
    ]  # fmt: skip
    values = [CODEC.encode(METRICS, each) for each in events]
    decoded = decode_events(CODEC.registry, METRICS.name, values, ats[0], METRICS.retention_ms or 0)
    none: Any = [None] * len(values)
    read = Read(METRICS.name, np.arange(len(values)), decoded, values, none, [()] * len(values))
    policy = CollectPolicy(destinations=2)
    alone = Moment(now=now, seed=1, epoch=1, partition=0, partitions=1)
    emits = collect(policy, collecting(), [read], alone).emits
    return [each for each in emits if isinstance(each.value, Partial)]


def closed(emits: Sequence[Emit]) -> list[WindowAggregate]:
    found = [each.value for each in emits if isinstance(each.value, WindowAggregate)]
    return [each for each in found if each.closed and each.window == "1m" and each.pooled]


def merged(partition: int, sent: Sequence[Emit], now: int = T0) -> list[WindowAggregate]:
    inputs = [
        Input(PARTIALS.name, i, each.value)
        for i, each in enumerate(sent)
        if each.partition == partition
    ]
    return closed(merge(MergePolicy(), merging(), inputs, moment(partition, now)).emits)


def test_windows_close_in_every_partition_and_none_is_deleted_unseen() -> None:
    # on_window_close of Faust is called for one partition of several; the rest are just deleted.
    sent = partials(T0, T0 + 5 * MINUTE)
    found = {partition: merged(partition, sent) for partition in (0, 1)}

    assert {f"s{i}/e" for i in range(8)} == {w.scope for each in found.values() for w in each}
    assert all({T0} == {w.start for w in each} for each in found.values())


def test_windows_expire_by_event_time_whatever_the_clock_says() -> None:
    # Faust's tables expire by the wall clock: what is replayed a day later has expired already.
    live = merged(0, partials(T0, T0 + 5 * MINUTE))
    later = merged(0, partials(T0, T0 + 5 * MINUTE, now=T0 + YEAR), now=T0 + YEAR)

    assert (True, live) == (len(live) > 0, later)


def test_a_window_that_was_open_at_a_restart_still_closes() -> None:
    # Faust's window timers live in memory and are lost.
    from processors.merge import restore

    policy = MergePolicy()
    sent = [each.value for each in partials(T0, T0 + 90_000) if each.partition == 0]
    before = merge(
        policy, merging(), [Input(PARTIALS.name, i, each) for i, each in enumerate(sent)], moment(0)
    )
    state = restore({name: entry for name, entry in before.changes.items() if entry is not None})
    more = [each.value for each in partials(T0 + 20 * MINUTE) if each.partition == 0]
    after = merge(
        policy, state, [Input(PARTIALS.name, 9 + i, each) for i, each in enumerate(more)], moment(0)
    )
    ends = [e.value for e in after.emits if isinstance(e.value, WindowAggregate)]
    fives = [each for each in ends if each.window == "5m" and each.closed and each.pooled]

    assert {(T0 - T0 % (5 * MINUTE), 1)} <= {(each.start, each.requests) for each in fives}
