"""Records past confluent_kafka's consumer are those that come through it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import NewTopic

from infra.environment import Environment
from streams import kafka
from streams.exactly_once import reading
from streams.exactly_once.queue import queue_of
from streams.exactly_once.reading import runs
from streams.exactly_once.split import offsets, sizes, split

pytestmark = pytest.mark.integration

TOPIC = "test.queue"
PARTITIONS = 2
EACH = 300
PLACES = [(TOPIC, partition) for partition in range(PARTITIONS)]


@pytest.fixture(scope="module")
def filled(shared: Environment) -> Environment:
    """Records of all kinds, some of them transactional, on two partitions."""
    headers = [("a", b"1"), ("a", None), ("traceparent", b""), ("\u00fc", "\u00fc".encode())]
    admin = kafka.admin(shared.bootstrap_servers)
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result(10)
    producer = kafka.transactional_producer(shared.bootstrap_servers, "test.queue")
    producer.init_transactions(30)
    producer.begin_transaction()
    for i in range(EACH):
        for partition in range(PARTITIONS):
            producer.produce(
                TOPIC,
                partition=partition,
                key=[None, b"", b"key"][i % 3],
                value=[b"x" * i, b"", None][i % 3],
                headers=headers[: i % 5],
                timestamp=1_760_000_000_000 + i,
            )
    producer.commit_transaction(30)
    return shared


def reader(cluster: Environment) -> Consumer:
    return kafka.consumer(cluster.bootstrap_servers, "test.queue", enable_partition_eof=True)


def fields(message: Any) -> tuple[Any, ...]:
    return (
        *(message.topic(), message.partition(), message.offset(), message.timestamp()),
        *(message.key(), message.value(), message.headers()),
    )


def place(found: tuple[Any, ...]) -> tuple[int, int]:
    return found[1], found[2]


def assigned(consumer: Consumer, start: int = 0) -> None:
    consumer.assign([TopicPartition(*place, start) for place in PLACES])


def ended(got: list[Any]) -> bool:
    """Whether all of each partition is there; its end is told at markers, too."""
    return len({e.partition() for e in got if e.error() and e.offset() > EACH}) == PARTITIONS


def read(queue: Any, consumer: Consumer) -> list[Any]:
    """What comes until all has come, all of it by the queue."""
    got: list[Any] = []
    deadline = time.monotonic() + 30
    while not ended(got):
        assert time.monotonic() < deadline, len(got)
        assert [] == consumer.consume(100, 0)
        got += queue.consume(100, 0.05)
    return got


def through(consumer: Consumer) -> list[Message]:
    got: list[Message] = []
    while not ended(got):
        got += consumer.consume(100, 0.05)
    return [each for each in got if each.error() is None]


def test_each_field_of_each_record_is_the_same(filled: Environment) -> None:
    plain, beside = reader(filled), reader(filled)
    queue = queue_of(beside)
    assert queue is not None, "confluent_kafka is not the one that the queue was tried with"
    assigned(plain)
    queue.lead(PLACES)
    assigned(beside)
    expected, got = through(plain), read(queue, beside)
    queue.close()
    beside.close()
    plain.close()

    records = [each for each in got if each.error() is None]
    assert sorted(map(fields, expected), key=place) == sorted(map(fields, records), key=place)
    assert {KafkaError._PARTITION_EOF} == {e.error().code() for e in got if e.error()}
    assert [len(each.value() or b"") for each in records] == list(map(len, records))


def test_they_are_split_as_those_of_the_consumer(filled: Environment) -> None:
    plain, beside = reader(filled), reader(filled)
    queue = queue_of(beside)
    assert queue is not None
    assigned(plain)
    queue.lead(PLACES)
    assigned(beside)
    expected, mixed = through(plain), read(queue, beside)
    queue.close()

    found, slow = split(mixed), split(expected)
    assert slow.runs.keys() == found.runs.keys() == set(PLACES)
    for place, run in found.runs.items():
        assert [fields(each) for each in slow.runs[place]] == [fields(each) for each in run]
        assert mixed[found.lasts[place]] is run[-1]
        assert offsets(slow.runs[place]).tolist() == offsets(run).tolist()
        assert sizes(slow.runs[place])[::5].tolist() == [
            len(each.value() or b"") + len(each.key() or b"") for each in run[::5]
        ]
    assert [i for i, each in enumerate(mixed) if each.error()] == found.faults
    for each in (plain, beside):
        each.close()


def test_another_assignment_is_read_from_where_it_begins(filled: Environment) -> None:
    consumer = reader(filled)
    queue = queue_of(consumer)
    assert queue is not None
    for start in (0, 0, EACH - 10, 3):
        queue.lead(PLACES)
        assigned(consumer, start)
        runs = split(read(queue, consumer)).runs
        assert {place: [*range(start, EACH)] for place in PLACES} == {
            place: offsets(run).tolist() for place, run in runs.items()
        }
    queue.close()
    consumer.close()


@pytest.mark.parametrize("beside", [True, False])
def test_a_partition_that_is_paused_gives_nothing_and_later_all_that_is_left(
    filled: Environment, *, beside: bool
) -> None:
    consumer = reader(filled)
    queue = queue_of(consumer) if beside else None
    assert (queue is not None) == beside
    if queue is not None:
        queue.lead(PLACES)
    assigned(consumer)

    def consume(most: int, seconds: float) -> list[Any]:
        if queue is None:
            return consumer.consume(most, seconds)
        assert [] == consumer.consume(most, 0)
        return queue.consume(most, seconds)

    got = [each for each in consume(50, 10) if each.error() is None]
    consumer.pause([TopicPartition(*PLACES[0])])
    until, meanwhile = time.monotonic() + 1, []
    while time.monotonic() < until:
        meanwhile += consume(100, 0.05)
    consumer.resume([TopicPartition(*PLACES[0])])
    rest: list[Any] = []
    while not ended([*meanwhile, *rest]):
        rest += consume(100, 0.05)
    if queue is not None:
        queue.close()
    consumer.close()

    assert {PLACES[1]} == {(each.topic(), each.partition()) for each in meanwhile}
    runs = split([each for each in (*got, *meanwhile, *rest) if each.error() is None]).runs
    assert {place: [*range(EACH)] for place in PLACES} == {
        place: offsets(run).tolist() for place, run in runs.items()
    }


def test_a_closed_queue_says_so(filled: Environment) -> None:
    consumer = reader(filled)
    queue = queue_of(consumer)
    assert queue is not None
    queue.close()
    queue.close()

    with pytest.raises(RuntimeError, match="the queue is closed"):
        queue.consume(1, 0)
    with pytest.raises(RuntimeError, match="the queue is closed"):
        queue.lead(PLACES)
    consumer.close()


class Leaking:
    """A queue that has records come past it."""

    def __init__(self) -> None:
        self.closed = False

    def lead(self, places: Any) -> None:
        """Does nothing: all comes through the consumer."""

    def consume(self, most: int, seconds: float) -> list[Any]:
        """Waits until there is something to come past."""
        time.sleep(min(seconds, 0.01) * (most > 0))
        return []

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("way", ["queue", "consumer", "past the queue"])
def test_stretches_are_read_to_their_ends_whichever_way_records_come(
    filled: Environment, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaking = Leaking()
    if way != "queue":
        ways = {"consumer": None, "past the queue": leaking}
        monkeypatch.setattr(reading, "queue_of", lambda _: ways[way])
    # One ends before its last record, one behind its last record, at the marker.
    stretches = {PLACES[0]: (7, 250), PLACES[1]: (EACH - 5, EACH + 1)}
    consumer = reader(filled)
    found: dict[tuple[str, int], list[int]] = {}
    for run in runs(consumer, stretches, 30):
        found.setdefault((run[0].topic(), run[0].partition()), []).extend(offsets(run).tolist())
    consumer.close()

    assert {PLACES[0]: list(range(7, 250)), PLACES[1]: list(range(EACH - 5, EACH))} == found
    assert leaking.closed == (way == "past the queue")
