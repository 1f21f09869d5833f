"""What an application reports, on its way to Kafka behind the application's back."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaException, Producer

from llmopt_client.batch import Batches
from llmopt_client.kafka import METRICS, Settings, log

TICK_S = 0.05  # how long an event may wait before it is handed to librdkafka

Fields = Mapping[str, Any]
NEEDED = ("timestamp", "service", "endpoint", "model", "provider")


class Outbox(threading.Thread):
    """A bounded queue and the thread that empties it. When it is full the newest is dropped.

    Args:
        settings: Of the producer.
        capacity: Events that may wait here.
        batches: Packs metric events into columns when given; plain JSON otherwise.
    """

    def __init__(self, settings: Settings, capacity: int, batches: Batches | None) -> None:
        super().__init__(name="llmopt-reports", daemon=True)
        self._settings = settings
        self._capacity = capacity
        self._batches = batches
        self._waiting: deque[tuple[str, str, Fields | bytes]] = deque()
        # Reentrant, since a signal handler may report while its own thread is reporting; held for
        # an append, never for any I/O.
        self._lock = threading.RLock()
        self._stopped = threading.Event()
        self._producer: Any = None
        self._counts = dict.fromkeys(
            ("reported", "dropped", "invalid", "sent", "delivered", "failed"), 0
        )

    def put(self, topic: str, key: str, fields: Fields) -> bool:
        """Take an event, or drop it when the queue is full or closed. Never waits."""
        with self._lock:
            self._counts["reported"] += 1
            if len(self._waiting) >= self._capacity or self._stopped.is_set():
                self._counts["dropped"] += 1
                return False
            self._waiting.append((topic, key, fields))
            return True

    def put_many(self, topic: str, events: Iterable[tuple[str, Fields]]) -> int:
        """Take (key, fields) of several events; how many were taken."""
        rows = [(topic, key, fields) for key, fields in events]
        with self._lock:
            room = 0 if self._stopped.is_set() else max(0, self._capacity - len(self._waiting))
            taken = rows[:room]
            self._waiting.extend(taken)
            self._counts["reported"] += len(rows)
            self._counts["dropped"] += len(rows) - len(taken)
        return len(taken)

    def put_raw(self, topic: str, key: str, value: bytes) -> None:
        """Take a message that is no report (an acknowledgement); it is counted nowhere."""
        with self._lock:
            if len(self._waiting) < self._capacity and not self._stopped.is_set():
                self._waiting.append((topic, key, value))

    def counts(self) -> dict[str, int]:
        """Events so far, by what became of them.

        reported = dropped + invalid + sent + waiting; sent = delivered + failed + on the way.
        """
        with self._lock:
            return {**self._counts, "waiting": len(self._waiting)}

    def run(self) -> None:
        """Send until stopped."""
        while not self._stopped.wait(TICK_S):
            try:
                self._drain(None)
                if self._producer is not None:
                    self._producer.poll(0)
            except Exception as error:  # noqa: BLE001  # the thread must outlive whatever comes
                self._start_again(error)
                self._stopped.wait(0.5)

    def close(self, timeout: float) -> None:
        """Send what waits, for at most *timeout* seconds; the rest is counted as failed."""
        deadline = time.monotonic() + timeout
        self._stopped.set()
        if self.is_alive():
            self.join(max(0.0, timeout))
        if self.is_alive():
            return
        with suppress(Exception):
            self._drain(deadline)
        with self._lock:
            self._counts["dropped"] += len(self._waiting)
            self._waiting.clear()
        if self._producer is not None:
            with suppress(Exception):
                self._producer.flush(max(0.0, deadline - time.monotonic()))
                self._producer.purge()
                self._producer.flush(0.2)
        self._producer = None

    def _drain(self, deadline: float | None) -> None:
        """Hand what waits to librdkafka; pause while its own queue is full."""
        while self._waiting and (deadline is None or time.monotonic() < deadline):
            if deadline is None and self._stopped.is_set():
                return
            if self._producer is None:
                self._producer = Producer(self._settings)
            if self._batches is not None and self._batches.ready():
                self._drain_batch(self._batches)
            else:
                self._send_one()

    def _send_one(self) -> None:
        topic, key, fields = self._waiting[0]
        if isinstance(fields, bytes):
            if self._produce(topic, key, fields, 0):
                self._waiting.popleft()
            return
        try:
            value = encode(topic, fields)
        except (ValueError, TypeError) as error:
            log.warning("An event was not reported: %s", error)
            self._waiting.popleft()
            self._count("invalid")
            return
        if self._produce(topic, key, value, 1):
            self._waiting.popleft()

    def _drain_batch(self, batches: Batches) -> None:
        """Send the metric events at the head in one message; what does not fit goes alone."""
        taken: list[Fields] = []
        while self._waiting and len(taken) < batches.size:
            topic, _, fields = self._waiting[0]
            if topic != METRICS or isinstance(fields, bytes) or not batches.fits(fields):
                break
            taken.append(fields)
            self._waiting.popleft()
        if not taken:
            self._send_one()
            return
        value = batches.pack(taken)
        while not self._produce(METRICS, str(taken[0]["service"]), value, len(taken)):
            if self._stopped.is_set():
                self._count("sent", len(taken))
                self._count("failed", len(taken))
                return

    def _produce(self, topic: str, key: str, value: bytes, events: int) -> bool:
        def delivered(error: object, _: object) -> None:
            self._count("failed" if error else "delivered", events)

        try:
            self._producer.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            self._producer.poll(0.05)
            return False
        except KafkaException as error:
            if error.args[0].fatal():
                raise
            log.warning("A report was refused: %s", error)
            self._count("failed", events)
        self._count("sent", events)
        return True

    def _count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counts[name] += by

    def _start_again(self, error: Exception) -> None:
        """Leave a producer that cannot go on; what it held is counted as failed."""
        log.warning("Reporting starts again: %s", error)
        producer, self._producer = self._producer, None
        if producer is not None and isinstance(error, KafkaException):
            with suppress(Exception):
                producer.purge()
                producer.poll(0)


def encode(topic: str, fields: Fields) -> bytes:
    """One event as JSON, without the fields that are None.

    Raises:
        ValueError: A required field is missing, or a number is not finite.
        TypeError: A value is nothing that JSON has.
    """
    for name in NEEDED:
        if fields.get(name) is None:
            raise ValueError(f"{name} is missing in an event for {topic}")
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, separators=(",", ":"), allow_nan=False).encode()
