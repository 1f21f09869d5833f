"""The registry's only memory: a compacted topic, written by one registry at a time.

Kafka's transactions keep it to one writer: whoever takes over fences the one before, so two
registries on the same cluster cannot give one id to two schemas. A write is made in three steps: be
the writer and know all that was written, decide, commit. A registry that was fenced in between
finds out at the commit and starts again.
"""

import json
import time
from collections.abc import Callable, Sequence

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from infra.registry.errors import Unwritten
from infra.registry.subjects import Record

TOPIC = "_schemas"
WRITER = "llmopt-schema-registry"
PATIENCE = 25.0  # seconds that a read or a write may take: a broker is back by then


class SchemaLog:
    """Reads and writes the topic. Every call blocks; one thread at a time.

    Args:
        bootstrap_servers: The Kafka that holds it.
        topic: Its name.
    """

    def __init__(self, bootstrap_servers: str, topic: str = TOPIC) -> None:
        self._servers = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
        self._partition = TopicPartition(topic, 0, OFFSET_BEGINNING)
        self._position = 0
        self._unseen: list[Record] = []  # read, but not handed out: a later step failed
        self._consumer: Consumer | None = None
        self._producer: Producer | None = None

    def open(self, timeout: float = 60.0) -> list[Record]:
        """Create the topic when it is absent, and read it whole.

        Raises:
            TimeoutError: Kafka gave no answer in time.
        """
        deadline = time.monotonic() + timeout
        admin = AdminClient(self._servers)
        name = self._partition.topic
        while True:
            topic = NewTopic(name, 1, -1, config={"cleanup.policy": "compact"})
            try:
                admin.create_topics([topic], request_timeout=5.0)[name].result()
                break
            except KafkaException as error:
                if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                    break
                if time.monotonic() > deadline:
                    raise TimeoutError(f"Kafka gave no answer in {timeout:g} s: {error}") from error
            time.sleep(0.1)
        self._consumer = Consumer(
            {
                **self._servers,
                "group.id": WRITER,  # asked for by the client, never joined
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 50,
                "reconnect.backoff.max.ms": 500,
                "allow.auto.create.topics": False,
            }
        )
        self._consumer.assign([self._partition])
        return self.read_to_end(max(1.0, deadline - time.monotonic()))

    def read_to_end(self, timeout: float = PATIENCE, end: int | None = None) -> list[Record]:
        """Read all that is committed by now and was not read yet.

        Args:
            timeout: Seconds that it may take.
            end: The offset to reach; None for that of the last commit.

        Raises:
            TimeoutError: The end was not reached in time.
        """
        deadline = time.monotonic() + timeout
        while end is None or self._position < end:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self._partition.topic} could not be read to its end.")
            if end is None:
                end = self._end()
            else:
                self._poll(0.01)
        return self._hand_out()

    def read_new(self) -> list[Record]:
        """Read what has already arrived, without waiting."""
        self._poll(0.0)
        return self._hand_out()

    def write(self, decide: Callable[[list[Record]], Sequence[Record]]) -> list[Record]:
        """Add records, decided on all that is written, and read them back.

        Args:
            decide: Given the records not seen yet, returns those to add. It is asked again, with
                what another
                registry has added meanwhile, when that one took over.

        Returns:
            The records that were added since, the own ones among them.

        Raises:
            Unwritten: Kafka did not take them in time.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                producer = self._writer(deadline)
                added = decide(self.read_to_end(max(0.1, deadline - time.monotonic())))
                # A commit is answered before readers may see it: its own end says what to wait for.
                end = self._commit(producer, added, deadline) if added else self._position
                return self.read_to_end(max(0.1, deadline - time.monotonic()), end)
            except (KafkaException, TimeoutError) as error:
                # Whether fenced, failed or timed out: what this producer did is not known, so it is
                # done with.
                self._producer = None
                if time.monotonic() > deadline:
                    raise Unwritten(f"Kafka did not take the change in {PATIENCE:g} s.") from error
                time.sleep(0.1)

    def close(self) -> None:
        """Let go of Kafka."""
        if self._consumer is not None:
            self._consumer.close()
        self._consumer = self._producer = None

    def _writer(self, deadline: float) -> Producer:
        if self._producer is None:
            producer = Producer(
                {
                    **self._servers,
                    "transactional.id": WRITER,
                    "transaction.timeout.ms": 10_000,
                    "retry.backoff.ms": 5,
                    "reconnect.backoff.max.ms": 500,
                }
            )
            producer.init_transactions(max(0.1, deadline - time.monotonic()))
            self._producer = producer
        return self._producer

    def _commit(self, producer: Producer, records: Sequence[Record], deadline: float) -> int:
        """Commit *records*; returns the offset after them."""
        ends: list[int] = []

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is None:
                ends.append(message.offset() + 1)

        producer.begin_transaction()
        for key, value in records:
            producer.produce(
                self._partition.topic,
                partition=0,
                key=json.dumps(key, separators=(",", ":")),
                value=None if value is None else json.dumps(value, separators=(",", ":")),
                on_delivery=delivered,
            )
        producer.flush(max(0.1, deadline - time.monotonic()))
        producer.commit_transaction(max(0.1, deadline - time.monotonic()))
        return max(ends)

    def _end(self) -> int | None:
        try:
            _, end = self._reader.get_watermark_offsets(self._partition, timeout=1.0)
        except KafkaException:
            return None
        return int(end)

    def _hand_out(self) -> list[Record]:
        records, self._unseen = self._unseen, []
        return records

    def _poll(self, timeout: float) -> None:
        for message in self._reader.consume(500, timeout):
            error = message.error()
            if error is None:
                self._position = message.offset() + 1
                record = decode(message.key(), message.value())
                if record is not None:
                    self._unseen.append(record)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - its public name
                # Past the markers of transactions, which are never handed out.
                self._position = max(self._position, message.offset())

    @property
    def _reader(self) -> Consumer:
        if self._consumer is None:
            raise Unwritten("The topic is not open.")
        return self._consumer


def decode(key: bytes | None, value: bytes | None) -> Record | None:
    """A record of the topic; None when it is not one of a registry."""
    try:
        name = json.loads(key or b"null")
        content = None if value is None else json.loads(value)
    except ValueError:
        return None
    if not isinstance(name, dict) or not isinstance(content, dict | None):
        return None
    return name, content
