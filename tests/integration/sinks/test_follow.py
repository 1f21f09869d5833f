from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from infra.environment import Environment
from schemas.codec import Codec
from schemas.registry import RegistryClient
from schemas.rollout import Look, Phase, Verdict
from schemas.topics import ANOMALIES, CONFIG, DEPLOYMENTS, Topic, dead_letters
from streams import kafka
from streams.exactly_once.reset import Busy
from streams.follow import GROUP, run, start_over
from streams.letters import opened
from streams.provision import apply
from streams.reading import read_all
from streams.settings import Settings

pytestmark = pytest.mark.integration
Produce = Callable[[Settings, Codec, str, range], None]


@pytest.fixture
def settings(environment: Environment, empty: str) -> Settings:
    variables = environment.env() | {"LLMOPT_DATABASE_URL": empty}
    settings = Settings.read(variables)
    apply(settings)
    return settings


@pytest.fixture
def codec(settings: Settings) -> Iterator[Codec]:
    registry = RegistryClient(settings.schema_registry_url)
    yield Codec(registry)
    registry.close()


@contextmanager
def following(settings: Settings) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(target=run, args=(settings, stop))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def produce(records: Any) -> Produce:
    return partial(write, records)


def write(records: Any, settings: Settings, codec: Codec, run_id: str, numbers: range) -> None:
    """Anomalies in transactions of three, with an aborted one between them."""
    producer = kafka.transactional_producer(settings.bootstrap_servers, f"test.{run_id}")
    producer.init_transactions(30)
    for start in numbers[::3]:
        for kept in (False, True):
            producer.begin_transaction()
            for i in numbers[numbers.index(start) :][:3]:
                anomaly = records.anomaly(id=f"{run_id}|{i}", actual=float(i) if kept else -1.0)
                producer.produce(
                    ANOMALIES.name, key=f"scope-{i}", value=codec.encode(ANOMALIES, anomaly)
                )
            if kept:
                producer.commit_transaction(30)
            else:
                producer.flush(10)
                producer.abort_transaction(30)


def ask(settings: Settings, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(settings.database_url) as connection:
        return connection.execute(query.encode()).fetchall()


def stored(settings: Settings, run_id: str) -> list[tuple[object, ...]]:
    try:
        return ask(
            settings,
            f"SELECT actual FROM anomalies WHERE id LIKE '{run_id}|%' ORDER BY actual",
        )
    except psycopg.Error:  # not migrated yet, or away on purpose
        return []


def eventually(check: Callable[[], bool], seconds: float = 30.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if check():
            return True
        time.sleep(0.1)
    return check()


def lag(settings: Settings) -> int:
    """What kafka-consumer-groups would show for the whole group."""
    consumer = kafka.consumer(settings.bootstrap_servers, GROUP)
    try:
        partitions = [TopicPartition(ANOMALIES.name, p) for p in range(settings.partitions_derived)]
        return sum(
            max(0, consumer.get_watermark_offsets(each, timeout=10)[1] - max(0, each.offset))
            for each in consumer.committed(partitions, timeout=10)
        )
    finally:
        consumer.close()


def test_what_is_committed_is_stored_once_and_the_group_has_no_lag(
    settings: Settings, codec: Codec, produce: Produce
) -> None:
    produce(settings, codec, "once", range(9))
    with following(settings):
        assert eventually(lambda: len(stored(settings, "once")) == 9)
        assert eventually(lambda: lag(settings) == 0)

    assert [(float(i),) for i in range(9)] == stored(settings, "once")


def test_the_position_in_postgres_counts_not_the_offsets_of_the_group(
    settings: Settings, codec: Codec, produce: Produce
) -> None:
    produce(settings, codec, "truth", range(6))
    with following(settings):
        assert eventually(lambda: len(stored(settings, "truth")) == 6)
    ask(settings, "DELETE FROM positions RETURNING topic")
    ask(settings, "DELETE FROM anomalies RETURNING id")

    with following(settings):
        assert eventually(lambda: len(stored(settings, "truth")) == 6)


def test_what_comes_while_postgres_is_away_is_stored_when_it_is_back(
    environment: Environment, settings: Settings, codec: Codec, produce: Produce
) -> None:
    if environment.postgres is None:
        pytest.skip("the given Postgres is not ours to kill")
    with following(settings):
        produce(settings, codec, "away", range(3))
        assert eventually(lambda: len(stored(settings, "away")) == 3)
        environment.postgres.kill()
        try:
            produce(settings, codec, "away", range(3, 12))
            time.sleep(1.0)
        finally:
            environment.postgres.start()

        assert eventually(lambda: len(stored(settings, "away")) == 12)


def test_what_can_never_be_stored_goes_to_the_dead_letters(
    settings: Settings, codec: Codec, produce: Produce
) -> None:
    producer = kafka.producer(settings.bootstrap_servers)
    bad = b'{"scope": "nobody/nothing", "revision": 99999999999999999999}'
    producer.produce(CONFIG.name, key="nobody/nothing", value=bad)
    producer.produce(CONFIG.name, key="nobody/nothing", value=None)
    producer.flush(10)
    produce(settings, codec, "beside", range(3))
    with following(settings):
        assert eventually(lambda: len(stored(settings, "beside")) == 3)
        letters = dead_letters(CONFIG)
        assert eventually(lambda: bad in [m.value() for m in read_all(settings, letters)])

    found = [m for m in read_all(settings, letters) if m.value() == bad]
    assert (CONFIG.name, "wrong_shape") == (opened(found[0]).topic, opened(found[0]).reason)
    assert b"nobody/nothing" == found[0].key()


def test_looks_at_a_rollout_are_passed_over_and_its_events_stored(
    settings: Settings, codec: Codec, records: Any
) -> None:
    seen = Look(
        id="looked at",
        scope="search/answer",
        at=0,
        share=500,
        phase=Phase.RAMPING,
        verdict=Verdict.INCONCLUSIVE,
        guardrails=(),
        stable_requests=0,
        candidate_requests=0,
    )
    producer = kafka.producer(settings.bootstrap_servers)
    for each in (seen, records.deployment(id=seen.id), seen):
        producer.produce(DEPLOYMENTS.name, key=seen.scope, value=codec.encode(DEPLOYMENTS, each))
    producer.flush(10)

    with following(settings):
        assert eventually(lambda: settled(settings, DEPLOYMENTS))
    assert [(1,)] == ask(settings, f"SELECT sequence FROM deployments WHERE id = '{seen.id}'")
    assert not any(
        b"looked at" in (m.value() or b"") for m in read_all(settings, dead_letters(DEPLOYMENTS))
    )


def settled(settings: Settings, topic: Topic) -> bool:
    """Whether all of *topic* is in Postgres or in the dead letters."""
    ends = {m.partition(): (m.offset() or 0) + 1 for m in read_all(settings, topic)}
    try:
        found = ask(
            settings,
            f"SELECT partition, next_offset FROM positions WHERE topic = '{topic.name}'",
        )
    except psycopg.Error:  # not migrated yet
        return False
    reached = {int(str(p)): int(str(o)) for p, o in found}
    return all(reached.get(p, 0) >= end for p, end in ends.items())


def test_a_stopped_follower_leaves_its_group(settings: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": settings.bootstrap_servers})

    def members() -> int:
        return len(kafka.group(admin, GROUP).members)

    with following(settings):
        assert eventually(lambda: members() == 1)
    assert eventually(lambda: members() == 0)


def test_starting_over_is_refused_while_somebody_follows_and_then_stores_all_again(
    settings: Settings, codec: Codec, produce: Produce
) -> None:
    produce(settings, codec, "over", range(3))
    with following(settings):
        assert eventually(lambda: len(stored(settings, "over")) == 3)
        with pytest.raises(Busy, match="1 members"):
            start_over(settings)
    ask(settings, "DELETE FROM anomalies RETURNING id")
    start_over(settings)
    with following(settings):
        assert eventually(lambda: len(stored(settings, "over")) == 3)
