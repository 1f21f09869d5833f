"""What can go wrong between a worker and Kafka, each kind by itself: the counts stay exact."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import faust
import pytest
from confluent_kafka import ConsumerGroupState, KafkaError, KafkaException, TopicPartition

from infra.environment import Environment
from schemas.codec import Codec
from schemas.topics import ANOMALIES, DEPLOYMENTS, changelog
from streams import kafka
from streams.app import partitions_of
from streams.exactly_once.commit import commit
from streams.exactly_once.errors import Fenced, Retake
from streams.exactly_once.fence import fence_the_dead
from streams.exactly_once.session import Home, Session
from streams.exactly_once.source import Source
from tests.integration.streams.counting import STAGE, step
from tests.integration.streams.member import WITHIN, Died, Dying, Holding, Member, Topics

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

Join = Callable[[str], Member]


@asynccontextmanager
async def working(cluster: Environment, codec: Codec) -> AsyncIterator[Source]:
    """The engine's own loop, fed to an agent that counts."""
    brokers = cluster.bootstrap_servers
    app = faust.App("test", broker=f"kafka://{brokers}", store="memory://")
    source = Source(app, STAGE, codec, Home(brokers, "w", partitions_of(brokers)))

    async def agent() -> None:
        async for event in source.channel:
            await event.value.commit(step)

    counting = asyncio.create_task(agent())
    await source.start()
    try:
        yield source
    finally:
        await source.stop()
        counting.cancel()


async def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN
    while not await asyncio.to_thread(done):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(("end", "counted"), [("commit_transaction", 2), ("abort_transaction", 1)])
def test_a_takeover_waits_for_unstable_offsets(
    topics: Topics, join: Join, monkeypatch: pytest.MonkeyPatch, end: str, counted: int
) -> None:
    # As where the owner before is alive, or nobody can say who it was.
    monkeypatch.setattr("streams.exactly_once.session.fence_the_dead", lambda *_: ())
    topics.send("s/e")
    first = join("a")
    first.count(1)
    topics.send("s/e")
    works, producer = first.works(), first.session.producer
    first.session.producer = Dying(producer, "commit_transaction")
    with pytest.raises(Died):
        commit(first.session, works)
    first.session.leave()
    second = join("b")
    with ThreadPoolExecutor(1) as beside:
        taking = beside.submit(second.take)
        with pytest.raises(TimeoutError):
            taking.result(2.0)
        getattr(producer, end)(10)
        taking.result(WITHIN)
    task = second.session.tasks[0]

    assert (counted, {"s/e": counted}) == (task.ends[DEPLOYMENTS.name], task.state)


@pytest.mark.parametrize("at", ["send_offsets_to_transaction", "commit_transaction"])
def test_a_dead_owners_transaction_is_aborted_at_once(topics: Topics, join: Join, at: str) -> None:
    topics.send("s/e")
    first = join("a")
    first.count(1)
    topics.send("s/e")
    works, producer = first.works(), first.session.producer
    first.session.producer = Dying(producer, at)
    with pytest.raises(Died):
        commit(first.session, works)
    first.session.leave()
    second = join("b")
    began = time.monotonic()
    second.take()
    took = time.monotonic() - began
    with pytest.raises(KafkaException):
        producer.commit_transaction(10)
    second.count(1)

    assert took < 5.0  # the transaction's time is 10 s
    assert {"s/e": 2} == second.session.tasks[0].state


def test_the_group_need_not_wait_for_a_long_round(topics: Topics, join: Join) -> None:
    topics.send("s/e", partition=0)
    topics.send("t/e", partition=3)
    first = join("a")
    works = first.works()
    topics.send("s/e", partition=0)
    topics.send("t/e", partition=3)
    with ThreadPoolExecutor(1) as beside:
        second = join("b")
        taking = beside.submit(second.take)
        deadline = time.monotonic() + WITHIN
        while not first.session.attend():  # instead of the next round
            assert time.monotonic() < deadline
            time.sleep(0.05)
        first.take()
        taking.result(WITHIN)
    first.count(2)
    second.count(2)

    assert {0} == {work.task.partition for work in works} & first.session.tasks.keys()
    assert ["s/e|1", "s/e|2", "t/e|1", "t/e|2"] == topics.counted()


def test_what_comes_while_a_round_lasts_is_read_in_the_next_one(
    topics: Topics, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.exactly_once.session.ATTENTION", 0.0)
    topics.send("s/e")
    first = join("a")
    works = first.works()
    topics.send("t/e", "u/e")
    deadline = time.monotonic() + WITHIN
    while len([each for each in first.session.early if each.error() is None]) < 2:
        assert time.monotonic() < deadline
        assert not first.session.attend()
    commit(first.session, works)
    first.count(2)

    assert ["s/e|1", "t/e|1", "u/e|1"] == topics.counted()


def test_an_owner_that_is_alive_is_not_fenced(topics: Topics, join: Join) -> None:
    topics.send("s/e", partition=0)
    first = join("a")
    first.count(1)
    stage, at = first.session.stage, [TopicPartition(DEPLOYMENTS.name, 0)]

    assert () == fence_the_dead(stage, topics.brokers, "b", at)

    first.session.leave()

    assert ("a",) == fence_the_dead(stage, topics.brokers, "b", at)
    assert () == fence_the_dead(stage, topics.brokers, "a", at)


def test_what_nobody_else_had_meanwhile_is_not_restored(topics: Topics, join: Join) -> None:
    for partition in range(4):
        topics.send("s/e", partition=partition)
    first = join("a")
    first.until(lambda: len(first.session.tasks) == 4)
    first.count(4)
    had = {partition: task.state for partition, task in first.session.tasks.items()}
    second = join("b")
    with ThreadPoolExecutor(1) as beside:
        taking = beside.submit(second.take)
        first.until(lambda: len(first.session.tasks) == 2)
        taking.result(WITHIN)

    assert all(task.state is had[at] for at, task in first.session.tasks.items())
    assert all(task.epoch == 2 for task in first.session.tasks.values())
    assert all(task.state == {"s/e": 1} for task in second.session.tasks.values())


def test_what_another_had_meanwhile_is_restored(topics: Topics, join: Join) -> None:
    topics.send("s/e")
    first = join("a")
    first.count(1)
    stale = dict(first.session.tasks)
    first.session.leave()
    second = join("b")
    topics.send("s/e")
    second.count(1)
    second.session.leave()
    third = join("a")
    third.session.put_down = stale
    third.take()

    assert {"s/e": 1} == stale[0].state
    assert {"s/e": 2} == third.session.tasks[0].state


def test_a_takeover_waits_for_a_transaction_that_is_open_in_the_changelog(
    topics: Topics, join: Join
) -> None:
    topics.send("s/e")
    first = join("a")
    first.count(1)
    first.session.leave()
    (entry,) = (each for each in topics.messages(changelog("detect")) if each.key() == b"s/e")
    other = kafka.transactional_producer(topics.brokers, "test.open")
    other.init_transactions(10)
    other.begin_transaction()
    other.produce(entry.topic(), key="other/e", value=entry.value(), partition=0)

    assert 0 == other.flush(10)
    second = join("b")
    with ThreadPoolExecutor(1) as beside:
        taking = beside.submit(second.take)
        with pytest.raises(TimeoutError):
            taking.result(2.0)
        other.commit_transaction(10)
        taking.result(WITHIN)

    assert {"other/e": 1, "s/e": 1} == second.session.tasks[0].state


def test_a_fenced_commit_leaves_nothing_and_its_successor_counts_once(
    topics: Topics, join: Join
) -> None:
    topics.send("s/e")
    first = join("same")
    works = first.works()
    second = join("same")
    before = topics.visible()
    with pytest.raises(Fenced):
        commit(first.session, works)

    assert before == topics.visible()
    first.session.leave()
    second.count(1)
    assert ["s/e|1"] == topics.counted()


def test_a_commit_of_an_old_generation_leaves_nothing(topics: Topics, join: Join) -> None:
    topics.send("s/e")
    zombie = join("a")
    works, old = zombie.works(), zombie.session.consumer.consumer_group_metadata()
    second = join("b")
    with ThreadPoolExecutor(1) as beside:
        taking = beside.submit(second.take)
        zombie.until(lambda: len(zombie.session.tasks) == 2)
        taking.result(WITHIN)
    before = topics.visible()
    alive, zombie.session.consumer = zombie.session.consumer, Outdated(old)
    with pytest.raises(Retake):
        commit(zombie.session, works)
    zombie.session.consumer = alive
    assert before == topics.visible()
    zombie.session.leave()
    # What it left open would time out; this is sooner.
    kafka.transactional_producer(topics.brokers, f"{STAGE.group}.a").init_transactions(10)
    second.until(lambda: len(second.session.tasks) == 4)
    second.count(1)

    assert ["s/e|1"] == topics.counted()


class Outdated:
    """A consumer that has not noticed that its group was divided anew."""

    def __init__(self, metadata: object) -> None:
        self.metadata = metadata

    def consumer_group_metadata(self) -> object:
        return self.metadata


class Faulty:
    """A producer whose first commit fails in a way of the test's; it notes what is begun after."""

    def __init__(self, producer: Any) -> None:
        self.producer = producer
        self.failed = False
        self.begun_again = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.producer, name)

    def begin_transaction(self) -> None:
        self.begun_again += self.failed
        self.producer.begin_transaction()


class Hurried(Faulty):
    """Its commit times out, whatever becomes of it."""

    def commit_transaction(self, _: float) -> None:
        self.failed = True
        self.producer.commit_transaction(0.001)
        # It ended in time after all: then its answer is lost.
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


class Broken(Faulty):
    """A record of its transaction is lost when the others are there: only an abort is left."""

    def commit_transaction(self, timeout: float) -> None:
        self.failed = True
        assert 0 == self.producer.flush(10)
        self.producer.produce(ANOMALIES.name, value=b"lost", partition=1)
        self.producer.purge()
        self.producer.commit_transaction(timeout)


async def retaken(
    cluster: Environment, codec: Codec, topics: Topics, patch: pytest.MonkeyPatch, fault: Any
) -> tuple[Faulty, list[Session]]:
    """The first producer and all sessions of a worker whose first commit fails."""
    sessions: list[Session] = []
    ordinary = Session.join

    def joined(*where: Any) -> Session:
        session = ordinary(*where)
        if not sessions:
            session.producer = fault(session.producer)
        sessions.append(session)
        return session

    patch.setattr(Session, "join", joined)
    topics.send("s/e", "s/e")
    async with working(cluster, codec):
        await until(lambda: topics.committed() == 2)
        topics.send("s/e")
        await until(lambda: topics.committed() == 3)
    return sessions[0].producer, sessions


async def test_a_commit_that_timed_out_is_taken_over_and_its_producer_never_begins_again(
    cluster: Environment, codec: Codec, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, sessions = await retaken(cluster, codec, topics, monkeypatch, Hurried)

    assert (True, 0) == (first.failed, first.begun_again)
    assert first.producer is not sessions[1].producer
    assert ["s/e|1", "s/e|2", "s/e|3"] == topics.counted()


async def test_a_transaction_that_must_abort_is_aborted_and_taken_again(
    cluster: Environment, codec: Codec, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, sessions = await retaken(cluster, codec, topics, monkeypatch, Broken)
    written = topics.messages(ANOMALIES, "read_uncommitted")

    assert (True, 0, 2) == (first.failed, first.begun_again, len(sessions))
    assert ["s/e|1", "s/e|2", "s/e|3"] == topics.counted()
    assert len(written) > 3  # what was aborted is there, and nobody sees it


@pytest.mark.parametrize("at", ["send_offsets_to_transaction", "commit_transaction"])
def test_a_revoke_in_the_middle_of_a_commit_lets_it_end_and_counts_once(
    topics: Topics, join: Join, at: str
) -> None:
    for partition in range(4):
        topics.send(f"s{partition}/e", partition=partition)
    first = join("a")
    first.take()
    works = first.works()
    first.session.producer = holding = Holding(first.session.producer, at)
    with ThreadPoolExecutor(2) as beside:
        committing = beside.submit(commit, first.session, works)
        assert holding.reached.wait(WITHIN)
        second = join("b")
        taking = beside.submit(second.take)
        admin, deadline = kafka.admin(topics.brokers), time.monotonic() + WITHIN
        dividing = ConsumerGroupState.PREPARING_REBALANCING
        while kafka.group(admin, STAGE.group).state != dividing:
            assert time.monotonic() < deadline
        holding.free.set()
        committing.result(WITHIN)
        first.until(lambda: len(first.session.tasks) == 2)
        taking.result(WITHIN)
    kept, given = set(first.session.tasks), set(second.session.tasks)
    for partition in range(4):
        topics.send(f"s{partition}/e", partition=partition)
    done = Counter(each.split("/")[0] for each in topics.counted())
    for member, theirs in ((first, kept), (second, given)):
        member.count(sum(2 - done[f"s{partition}"] for partition in theirs))

    assert ({0, 1}, {2, 3}) in ((kept, given), (given, kept))
    assert [f"s{p}/e|{n}" for p in range(4) for n in (1, 2)] == topics.counted()
