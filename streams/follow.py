"""Follow the derived topics into Postgres; its own positions say how far it has come."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_random_exponential
from tenacity.nap import sleep_using_event
from tenacity.stop import stop_when_event_set

from schemas.codec import Codec
from schemas.errors import RegistryUnavailable, Undecodable
from schemas.registry import RegistryClient
from schemas.topics import ANOMALIES, CONFIG, DECISIONS, DEPLOYMENTS, ENRICHED, INSIGHTS, TOPICS
from sinks.errors import Behind, Unavailable
from sinks.migrate import migrate
from sinks.postgres import At, Batch, Postgres, Record, Refusal, Span, Windows
from sinks.rows import UNSTORED
from streams import kafka, metrics
from streams.exactly_once.reading import end_of
from streams.exactly_once.reset import Busy
from streams.letters import letter
from streams.log import log
from streams.settings import Settings

STAGE = "store"
GROUP = f"llmopt.{STAGE}"
FOLLOWED = (ENRICHED, ANOMALIES, INSIGHTS, DECISIONS, DEPLOYMENTS, CONFIG)
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


@dataclass(frozen=True, slots=True)
class Read:
    """A batch, and the messages that it came from."""

    messages: Sequence[Message]
    batch: Batch
    broken: Sequence[tuple[Message, Undecodable]]


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch: records read, rows inserted or replaced, positions reached."""

    read: int
    stored: int
    positions: Mapping[At, int]


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
        self._reached: dict[At, int] = {}  # next offset that no batch has
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
        self._writer = ThreadPoolExecutor(1, STAGE)
        self._writing: Future[Written] | None = None
        self._consumer.subscribe(
            [topic.name for topic in FOLLOWED], on_assign=self._assigned, on_revoke=self._revoked
        )

    def follow(self) -> None:
        """Store batch after batch; the next is read while Postgres takes one.

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
            self._take(messages)
        self._settle()

    def close(self) -> None:
        """Leave the group, once the batch in hand is stored or given up."""
        self._writer.shutdown()
        self._consumer.close()
        self._letters.flush(5)

    def _take(self, messages: Sequence[Message]) -> None:
        """Read the batch that *messages* are, and hand it to the writer when that is free."""
        new, positions = self._new(messages)
        if not positions:
            self._settle()
            return
        read = _patiently(self._stop, lambda: self._read(new, positions))
        self._settle()
        self._reached |= positions
        self._writing = self._writer.submit(self._store, read)

    def _settle(self) -> None:
        """Wait until the batch in hand is stored."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        done = writing.result()
        metrics.count_outcome(STAGE, {"read": done.read, "stored": done.stored})
        # Only for people: kafka-consumer-groups shows the lag. The truth is in Postgres.
        self._consumer.commit(
            offsets=[TopicPartition(*at, offset) for at, offset in done.positions.items()],
            asynchronous=True,
        )

    def _store(self, read: Read) -> Written:
        def refuse(refusals: Sequence[Refusal]) -> None:
            originals = {(m.topic(), m.partition(), m.offset()): m for m in read.messages}
            for each in refusals:
                at = (each.record.topic, each.record.partition, each.record.offset)
                self._write_off(originals[at], "refused", str(each.error))
            self._flush()

        for message, why in read.broken:
            self._write_off(message, why.reason.value, why.detail)
        self._flush()
        stored = _patiently(self._stop, lambda: self._postgres.write(read.batch, refuse))
        positions = {at: span.end for at, span in read.batch.spans.items()}
        return Written(len(read.messages), stored, positions)

    def _new(self, messages: Sequence[Message]) -> tuple[list[Message], dict[At, int]]:
        """The records among *messages* that no batch has had, and where those after them begin."""
        positions: dict[At, int] = {}
        new: list[Message] = []
        for message in messages:
            error = message.error()
            at, offset = (message.topic(), message.partition()), message.offset()
            ended = error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001  # its public name
            if error is not None and not ended:
                if not error.retriable() and error.code() not in kafka.PASSING:
                    raise KafkaException(error)
                continue
            if offset < self._reached.get(at, math.inf):
                continue  # it belongs to another member now, or was fetched before a seek
            if ended:
                if offset > self._reached[at]:
                    positions[at] = offset  # past the markers of transactions
                continue
            positions[at] = offset + 1
            new.append(message)
        return new, positions

    def _read(self, messages: Sequence[Message], positions: Mapping[At, int]) -> Read:
        records: list[Record] = []
        windows: list[Windows] = []
        broken: list[tuple[Message, Undecodable]] = []
        by_topic: dict[str, list[Message]] = {}
        for message in messages:
            if message.value() is not None:  # a tombstone stores nothing
                by_topic.setdefault(message.topic(), []).append(message)
        for topic, some in by_topic.items():
            left = np.ones(len(some), np.bool_)
            for at, table in self._codec.tables(TOPICS[topic], [m.value() or b"" for m in some]):
                left[at] = False
                places = [(some[i].partition(), some[i].offset()) for i in at.tolist()]
                windows.append(Windows(topic, places, table))
            for message in (some[i] for i in np.flatnonzero(left).tolist()):
                try:
                    value = self._codec.decode(TOPICS[topic], message.value() or b"")
                except Undecodable as error:
                    broken.append((message, error))
                    continue
                if not isinstance(value, UNSTORED):
                    place = (topic, message.partition(), message.offset())
                    records.append(Record(*place, value))
        spans = {at: Span(self._reached[at], end) for at, end in positions.items()}
        return Read(messages, Batch(records, spans, windows), broken)

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
            self._settle()
            known = _patiently(self._stop, self._postgres.positions)
            self._reached = {
                at: self._start(consumer, at, known)
                for at in ((each.topic, each.partition) for each in partitions)
            }
            consumer.assign([TopicPartition(*at, offset) for at, offset in self._reached.items()])
        except Exception as error:  # noqa: BLE001  # a callback must not raise into librdkafka
            self._failure = error

    def _revoked(self, _: Consumer, __: list[TopicPartition]) -> None:
        """Let go once the batch in hand is stored: who takes over begins behind it."""
        try:
            self._settle()
        except Exception as error:  # noqa: BLE001  # as in `_assigned`
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
