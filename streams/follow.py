"""Follow the derived topics into Postgres; its own positions say how far it has come."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable, Undecodable
from schemas.registry import RegistryClient
from schemas.topics import ANOMALIES, CONFIG, DECISIONS, DEPLOYMENTS, ENRICHED, TOPICS
from sinks.errors import Behind, Unavailable
from sinks.migrate import migrate
from sinks.postgres import At, Batch, Postgres, Record, Refusal, Span
from streams import kafka, metrics
from streams.exactly_once.reading import end_of
from streams.exactly_once.reset import Busy
from streams.letters import letter
from streams.log import log
from streams.settings import Settings

STAGE = "store"
GROUP = f"llmopt.{STAGE}"
FOLLOWED = (ENRICHED, ANOMALIES, DECISIONS, DEPLOYMENTS, CONFIG)
BATCH = 5_000  # messages of one transaction at most
GATHER = 0.25  # seconds that a batch is gathered for
LONGEST_PAUSE = 5.0  # seconds between two tries
T = TypeVar("T")


def run(settings: Settings, stop: threading.Event) -> None:
    """Copy what people query to Postgres until *stop* is set.

    Whatever is away (Postgres, Kafka, the registry) is waited for; nothing is lost meanwhile, for
    a batch is dropped only after its rows and its position are in one transaction.

    Raises:
        MigrationRefused: The database's tables do not fit this program.
    """
    if not settings.database_url:
        log.warning("nothing is stored", why="no Postgres is named: set LLMOPT_DATABASE_URL")
        return
    postgres = Postgres(settings.database_url)
    registry = RegistryClient(settings.schema_registry_url)
    codec = Codec(registry)
    try:
        _patiently(stop, lambda: migrate(settings.database_url))
        while not stop.is_set():
            follower = Follower(settings, codec, postgres, stop)
            try:
                follower.follow()
            except (KafkaException, Behind) as error:
                log.warning("joining again", stage=STAGE, why=str(error))
                stop.wait(1.0)
            finally:
                follower.close()
    except (Unavailable, RegistryUnavailable):
        pass  # told to stop while something was away; the batch in hand is read again
    finally:
        postgres.close()
        registry.close()


def start_over(settings: Settings) -> dict[str, int]:
    """Forget how far Postgres has come, so that the next worker stores all there is again.

    Returns:
        `positions` → how many were forgotten. The rows stay; equal revisions change nothing.

    Raises:
        Busy: A worker runs the stage.
        Unavailable: Postgres does not answer, or none is named.
        KafkaException: No broker answers.
    """
    if not settings.database_url:
        raise Unavailable("No Postgres is named: set LLMOPT_DATABASE_URL.")
    admin = kafka.admin(settings.bootstrap_servers)
    members = kafka.group(admin, GROUP).members
    if members:
        raise Busy(f"{GROUP} has {len(members)} members; stop the workers that run {STAGE} first")
    with closing(Postgres(settings.database_url)) as postgres:
        known = postgres.positions()
        postgres.rewind(dict.fromkeys(known, 0))
    return {"positions": len(known)}


class Follower:
    """One membership of the group.

    Args:
        settings: Where the brokers are.
        codec: Reads the records.
        postgres: Takes them.
        stop: Ends `follow` after the batch in hand.
    """

    def __init__(
        self, settings: Settings, codec: Codec, postgres: Postgres, stop: threading.Event
    ) -> None:
        self._codec = codec
        self._postgres = postgres
        self._stop = stop
        self._failure: Exception | None = None
        self._reached: dict[At, int] = {}  # next offset that is not stored
        self._letters = kafka.producer(settings.bootstrap_servers, partitioner="murmur2_random")
        self._consumer = kafka.consumer(
            settings.bootstrap_servers,
            GROUP,
            session_timeout_ms=settings.session_timeout_ms,
            # While Postgres is away a batch waits that long before others are asked to try.
            max_poll_interval_ms=900_000,
            enable_partition_eof=True,
            client_id=f"{STAGE}-{settings.worker_name}",
        )
        self._consumer.subscribe([topic.name for topic in FOLLOWED], on_assign=self._assigned)

    def follow(self) -> None:
        """Store batch after batch.

        Raises:
            KafkaException: The group or the broker is lost.
            Behind: Postgres has gone back; join again, at its position.
            Unavailable: It was stopped while Postgres was away.
            RegistryUnavailable: It was stopped while the registry was away.
        """
        while not self._stop.is_set():
            messages = self._consumer.consume(BATCH, timeout=GATHER)
            if self._failure is not None:
                raise self._failure
            if messages:
                self._take(messages)

    def close(self) -> None:
        """Leave the group."""
        self._consumer.close()
        self._letters.flush(5)

    def _take(self, messages: Sequence[Message]) -> None:
        records, positions, broken = _patiently(self._stop, lambda: self._read(messages))
        if not positions:
            return
        originals = {(m.topic(), m.partition(), m.offset()): m for m in messages}

        def refuse(refusals: Sequence[Refusal]) -> None:
            for each in refusals:
                at = (each.record.topic, each.record.partition, each.record.offset)
                self._write_off(originals[at], "refused", str(each.error))
            self._flush()

        for message, why in broken:
            self._write_off(message, why.reason.value, why.detail)
        self._flush()
        spans = {at: Span(self._reached[at], end) for at, end in positions.items()}
        batch = Batch(records, spans)
        stored = _patiently(self._stop, lambda: self._postgres.write(batch, refuse))
        metrics.count_outcome(STAGE, {"read": len(records) + len(broken), "stored": stored})
        self._reached |= positions
        # Only for people: kafka-consumer-groups shows the lag. The truth is in Postgres.
        self._consumer.commit(
            offsets=[TopicPartition(*at, offset) for at, offset in positions.items()],
            asynchronous=True,
        )

    def _read(
        self, messages: Sequence[Message]
    ) -> tuple[list[Record], dict[At, int], list[tuple[Message, Undecodable]]]:
        positions: dict[At, int] = {}
        new: list[Message] = []
        for message in messages:
            error = message.error()
            at = (message.topic(), message.partition())
            ended = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001  # its public name
            if error is not None and not ended:
                if not error.retriable() and error.code() not in kafka.PASSING:
                    raise KafkaException(error)
                continue
            if message.offset() < self._reached.get(at, math.inf):
                continue  # it belongs to another member now, or was fetched before a seek
            if ended:
                if message.offset() > self._reached[at]:
                    positions[at] = message.offset()  # past the markers of transactions
                continue
            positions[at] = message.offset() + 1
            new.append(message)
        values = self._decode(new)
        records: list[Record] = []
        broken: list[tuple[Message, Undecodable]] = []
        for message, value in zip(new, values, strict=True):
            if isinstance(value, Undecodable):
                broken.append((message, value))
            else:
                place = (message.topic(), message.partition(), message.offset())
                records.append(Record(*place, value))
        return records, positions, broken

    def _decode(self, messages: Sequence[Message]) -> list[object]:
        """The value of each message, or why there is none; None for a tombstone."""
        found: list[object] = [None] * len(messages)
        by_topic: dict[str, list[int]] = {}
        for i, message in enumerate(messages):
            if message.value() is not None:
                by_topic.setdefault(message.topic(), []).append(i)
        for topic, places in by_topic.items():
            data = [messages[i].value() or b"" for i in places]
            read = self._codec.decode_all(TOPICS[topic], data, [None] * len(data))
            for i, value in zip(places, read, strict=True):
                found[i] = value
        return found

    def _write_off(self, message: Message, reason: str, detail: str) -> None:
        topic, headers = letter(message, reason, detail, STAGE)
        self._letters.produce(
            topic, key=message.key(), value=message.value(), headers=list(headers)
        )
        metrics.count_outcome(STAGE, {"dead_lettered": 1})
        log.warning("not stored", reason=reason, why=detail, topic=message.topic())

    def _flush(self) -> None:
        if self._letters.flush(10):
            raise Unavailable("Kafka does not take the dead letters.")

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Go on where Postgres is, whatever the group's offsets say."""
        try:
            known = _patiently(self._stop, self._postgres.positions)
            self._reached = {
                at: self._start(consumer, at, known)
                for at in ((each.topic, each.partition) for each in partitions)
            }
            consumer.assign([TopicPartition(*at, offset) for at, offset in self._reached.items()])
        except Exception as error:  # noqa: BLE001  # a callback must not raise into librdkafka
            self._failure = error

    def _start(self, consumer: Consumer, at: At, known: Mapping[At, int]) -> int:
        low, high = end_of(consumer, at)
        stored = known.get(at, 0)
        if low <= stored <= high:
            return stored
        if stored > high:
            log.warning(
                "topic was made anew", topic=at[0], partition=at[1], stored=stored, end=high
            )
        elif at in known:
            log.warning("retention was faster", topic=at[0], partition=at[1], lost=low - stored)
        _patiently(self._stop, lambda: self._postgres.rewind({at: low}))
        return low


def _patiently(stop: threading.Event, call: Callable[[], T]) -> T:
    """Call until nothing is away any more, or *stop* is set."""
    retrying = Retrying(
        retry=retry_if_exception_type((Unavailable, RegistryUnavailable)),
        wait=wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE),
        stop=stop_when_event_set(stop),
        sleep=sleep_using_event(stop),
        before_sleep=_say,
        reraise=True,
    )
    return retrying(call)


def _say(state: RetryCallState) -> None:
    error = None if state.outcome is None else state.outcome.exception()
    log.warning("waiting", stage=STAGE, attempt=state.attempt_number, why=str(error))
