"""What an application reports, on its way to Kafka behind the application's back."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from llmopt_client.batch import Batches
from llmopt_client.kafka import CONFIG_ACK, METRICS, QUALITY, Seldom, Settings, log

TICK_S = 0.05  # how long an event may wait before it is handed to librdkafka
LEAVE_S = 0.2  # how long a producer that is given up may take to say what it held

report_log = log.getChild("reports")
report_log.addFilter(Seldom())

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
        self._waiting: deque[tuple[str, str, Fields]] = deque()
        self._alone = 0  # of them, those at the head that no batch could take
        self._acks: deque[tuple[str, bytes]] = deque(maxlen=max(1, capacity))  # the newest
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

    def acknowledge(self, key: str, value: bytes) -> None:
        """Take an acknowledgement of a config. It is no report, and counted nowhere."""
        if not self._stopped.is_set():
            self._acks.append((key, value))

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
                say("Reporting met an error, and goes on: %s", error)
                if fatal(error):
                    self._leave(0.0)
                self._stopped.wait(0.5)

    def close(self, timeout: float) -> None:
        """Send what waits, for at most *timeout* seconds; the rest is dropped or has failed."""
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
        self._acks.clear()
        self._leave(deadline - time.monotonic())

    def _drain(self, deadline: float | None) -> None:
        """Hand what waits to librdkafka; pause while its own queue is full."""
        while (self._waiting or self._acks) and (deadline is None or time.monotonic() < deadline):
            if deadline is None and self._stopped.is_set():
                return
            if self._producer is None:
                self._producer = Producer(self._settings)
            if self._acks:
                self._send_ack()
            elif self._batches is not None and not self._alone and self._batches.ready():
                self._send_batch(self._batches)
            else:
                self._send_one()

    def _send_ack(self) -> None:
        key, value = self._acks[0]
        try:
            if not self._produce(CONFIG_ACK, key.encode(), value, 0):
                return
        except Exception as error:
            if fatal(error):
                raise
            say("An acknowledgement was not sent: %s", error)
        self._acks.popleft()

    def _send_one(self) -> None:
        """Send the event at the head. Whatever is wrong with it, the next one gets its turn."""
        topic, key, fields = self._waiting[0]
        try:
            if self._produce(topic, key.encode(), encode(topic, fields), 1):
                self._done(1, "sent")
        except Exception as error:
            if fatal(error):
                raise
            refused = isinstance(error, KafkaException)
            self._done(1, *(("sent", "failed") if refused else ("invalid",)))
            say("An event was not reported: %s", error)

    def _send_batch(self, batches: Batches) -> None:
        """Send the metric events at the head in one message; what does not fit goes alone."""
        with self._lock:
            head = list(islice(self._waiting, batches.size))
        taken: list[Fields] = []
        for topic, _, fields in head:
            if topic != METRICS or not batches.fits(fields):
                break
            taken.append(fields)
        if not taken:
            self._send_one()
            return
        try:
            key, value = str(taken[0]["service"]).encode(), batches.pack(taken)
            while not self._produce(METRICS, key, value, len(taken)):
                if self._stopped.is_set():
                    return
            self._done(len(taken), "sent")
        except Exception as error:
            if fatal(error):
                raise
            # one event of them, or their sum, is the reason: none shares the fate of another
            say("A batch was not reported, its events go alone: %s", error)
            self._alone = len(taken)

    def _produce(self, topic: str, key: bytes, value: bytes, events: int) -> bool:
        """Hand over one message of so many events; False while librdkafka's queue is full.

        Raises:
            KafkaException: It is refused, or the producer cannot go on.
        """

        def delivered(error: object, _: object) -> None:
            self._count("failed" if error else "delivered", events)

        try:
            self._producer.produce(topic, value, key, on_delivery=delivered)
        except BufferError:
            # what an application's log handler raises in here is no fault of this message
            with suppress(Exception):
                self._producer.poll(TICK_S)
            return False
        return True

    def _done(self, events: int, *counters: str) -> None:
        """Take events from the head and say what became of them, both at once."""
        self._alone = max(0, self._alone - events)
        with self._lock:
            for _ in range(events):
                self._waiting.popleft()
            for name in counters:
                self._counts[name] += events

    def _count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counts[name] += by

    def _leave(self, seconds: float) -> None:
        """Give the producer *seconds* to end; what it still holds then is counted as failed."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(Exception):
                producer.flush(max(0.0, seconds))
            with suppress(Exception):
                producer.purge()
                producer.flush(LEAVE_S)
        with self._lock:  # nobody is left to hear of the others
            self._counts["failed"] = self._counts["sent"] - self._counts["delivered"]


def fatal(error: Exception) -> bool:
    """Whether the producer that raised this can never send again."""
    cause = error.args[0] if isinstance(error, KafkaException) and error.args else None
    return isinstance(cause, KafkaError) and cause.fatal()


def say(text: str, error: Exception) -> None:
    """Log, whatever the error's own text or the application's handlers raise."""
    with suppress(Exception):
        report_log.warning(text, error)


def encode(topic: str, fields: Fields) -> bytes:
    """One event as JSON in UTF-8, without the fields that are None.

    Raises:
        ValueError: A required field is missing, a number is not finite, or a text is no Unicode.
        TypeError: A value is nothing that JSON has.
        Exception: Whatever an odd value raises when it is looked at.
    """
    for name in (*NEEDED, "overall") if topic == QUALITY else NEEDED:
        if fields.get(name) in {None, ""}:
            raise ValueError(f"{name} is missing in an event for {topic}")
    present = {name: value for name, value in fields.items() if value is not None}
    return json.dumps(present, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
