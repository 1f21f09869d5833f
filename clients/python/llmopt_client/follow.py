"""The thread that reads the config topic, whole and then live."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from llmopt_client.kafka import CONFIG, Settings, log

WAIT_S = 0.2  # the longest that closing waits for this thread to look up
RETRY_S = 0.5
LOOK_S = 5.0  # how often to see whether it is still the same Kafka
GONE = {  # the topic is not the one whose reading began
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.UNKNOWN_TOPIC_ID,
    KafkaError.OFFSET_OUT_OF_RANGE,
    KafkaError._AUTO_OFFSET_RESET,  # noqa: SLF001  # its public spelling
    KafkaError._LOG_TRUNCATION,  # noqa: SLF001  # its public spelling
}


class Listener(Protocol):
    """What the follower tells."""

    def began(self) -> None:
        """The topic will be told from its beginning, for the first time or anew."""

    def heard(self, key: str | None, value: bytes | None) -> None:
        """A record came; a None value deletes its key's scope."""

    def caught_up(self, cluster: str | None) -> None:
        """All that was on the topic when reading began has been told."""

    def paused(self) -> None:
        """Nothing more to tell right now."""


class Follower(threading.Thread):
    """Reads every partition from its beginning, without a group; survives a broker that is away.

    When another cluster answers in its place, or the topic has more partitions, it begins anew.

    Args:
        settings: Of the consumer.
        listener: Told in this thread.
        trouble: Called with each error that made it start again.
    """

    def __init__(
        self, settings: Settings, listener: Listener, trouble: Callable[[Exception], None]
    ) -> None:
        super().__init__(name="llmopt-configs", daemon=True)
        self._settings = settings
        self._listener = listener
        self._trouble = trouble
        self._stopped = threading.Event()

    def run(self) -> None:
        """Follow until stopped."""
        while not self._stopped.is_set():
            try:
                consumer = Consumer(self._settings)
                try:
                    self._follow(consumer)
                finally:
                    consumer.close()
            except Exception as error:  # noqa: BLE001  # the thread must outlive whatever comes
                self._trouble(error)
                self._stopped.wait(RETRY_S)

    def stop(self) -> None:
        """Ask the thread to end; it does within about WAIT_S."""
        self._stopped.set()

    def _follow(self, consumer: Any) -> None:
        found = self._partitions(consumer)
        if found is None:
            return
        cluster, partitions = found
        unread = set(partitions)
        self._listener.began()
        consumer.assign([TopicPartition(CONFIG, p, OFFSET_BEGINNING) for p in partitions])
        look = time.monotonic() + LOOK_S
        while not self._stopped.is_set():
            if time.monotonic() >= look:
                if self._replaced(consumer, cluster, partitions):
                    return
                look = time.monotonic() + LOOK_S
            message = consumer.poll(WAIT_S)
            if message is None:
                self._listener.paused()
                continue
            error = message.error()
            if error is None:
                self._tell(message)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public spelling
                unread.discard(message.partition())
                if not unread:
                    self._listener.caught_up(cluster)
            elif error.code() in GONE or error.fatal():
                raise KafkaException(error)

    def _tell(self, message: Any) -> None:
        key = message.key()
        try:
            self._listener.heard(None if key is None else key.decode(), message.value())
        except Exception as error:  # noqa: BLE001  # one record must not stop the others
            self._trouble(error)

    def _replaced(self, consumer: Any, cluster: str | None, partitions: list[int]) -> bool:
        """Whether what is being read is not what Kafka has now; no answer is no reason."""
        try:
            found = consumer.list_topics(CONFIG, timeout=WAIT_S * 2)
        except KafkaException as error:
            log.debug("Kafka does not answer: %s", error)
            return False
        topic = found.topics.get(CONFIG)
        there = sorted(topic.partitions) if topic is not None and topic.error is None else []
        other = found.cluster_id not in {None, cluster}
        return other or (bool(there) and there != partitions)

    def _partitions(self, consumer: Any) -> tuple[str | None, list[int]] | None:
        """The cluster and the topic's partitions, as soon as there are any."""
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                found = consumer.list_topics(CONFIG, timeout=WAIT_S * 2)
                topic = found.topics.get(CONFIG)
                if topic is not None and topic.error is None and topic.partitions:
                    return found.cluster_id, sorted(topic.partitions)
                log.debug("The topic %s does not exist yet.", CONFIG)
            except KafkaException as error:
                log.debug("Kafka does not answer yet: %s", error)
            self._stopped.wait(max(0.0, RETRY_S - (time.monotonic() - began)))
        return None
