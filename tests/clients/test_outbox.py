"""What becomes of each report: every event is counted once, whatever the others are like."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from llmopt_client import outbox as module
from llmopt_client.batch import Batches
from llmopt_client.kafka import CONFIG_ACK, METRICS, QUALITY
from llmopt_client.outbox import Outbox

GOOD: dict[str, Any] = {
    "timestamp": time.time_ns() // 1_000_000,
    "service": "s",
    "endpoint": "e",
    "model": "m",
    "provider": "p",
    "latency_ms": 1.0,
    "tokens_input": 1,
    "tokens_output": 1,
}
FATAL = KafkaException(KafkaError(KafkaError._FATAL, "fenced", fatal=True))
TOO_LARGE = KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "too large"))

Fields = Mapping[str, Any]
Told = Callable[[object, object], None]


class Sent:
    """A producer that delivers when it is flushed; *refuse* says what to raise for a value."""

    def __init__(self, refuse: Callable[[bytes], Exception | None] = lambda _: None) -> None:
        self.values: list[tuple[str, bytes]] = []
        self._refuse = refuse
        self._untold: list[Told] = []

    def produce(self, topic: str, value: bytes, _: bytes, on_delivery: Told) -> None:
        error = self._refuse(value)
        if error is not None:
            raise error
        self.values.append((topic, value))
        self._untold.append(on_delivery)

    def poll(self, _: float) -> None:
        pass

    def purge(self) -> None:
        pass

    def flush(self, _: float) -> None:
        for told in self._untold:
            told(None, None)
        self._untold.clear()


class Columns(Batches):
    """Batches whose schema is known, packed as a list that can be read here."""

    def __init__(self, size: int = 500, *, fails: bool = False) -> None:
        super().__init__("http://127.0.0.1:1", size)
        self._fails = fails

    def ready(self) -> bool:
        return True

    def pack(self, events: Any) -> bytes:
        if self._fails:
            raise RuntimeError
        super().pack(events)
        return json.dumps([dict(event) for event in events]).encode()


class Peculiar(dict[str, Any]):
    """An event that raises when it is looked at."""

    def get(self, *_: object) -> Any:
        raise RuntimeError


class Unreadable:
    """A value that raises when it is converted."""

    def __int__(self) -> int:
        raise RuntimeError


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def drained(outbox: Outbox, sent: Sent) -> dict[str, int]:
    """The counters after sending and closing, which must add up."""
    outbox._producer = sent
    outbox._drain(time.monotonic() + 5)
    outbox.close(0.1)
    counts = outbox.counts()
    assert counts["reported"] == sum(
        counts[name] for name in ("dropped", "invalid", "sent", "waiting")
    )
    assert counts["sent"] == counts["delivered"] + counts["failed"]
    return counts


def around(odd: Fields) -> list[tuple[str, Fields]]:
    """The odd one in the middle of 400 good ones."""
    good: list[tuple[str, Fields]] = [("s", GOOD)] * 200
    return [*good, (str(dict(odd)["service"]), odd), *good]


ODD = [
    pytest.param({**GOOD, "service": "\ud800"}, id="key"),
    pytest.param({**GOOD, "endpoint": "\ud800"}, id="text"),
    pytest.param({**GOOD, "endpoint": ""}, id="nameless"),
    pytest.param(Peculiar(GOOD), id="peculiar"),
]
UNENCODABLE = [  # of what batches have no columns for
    pytest.param({**GOOD, "tags": nested(100_000)}, id="nested"),
    pytest.param({**GOOD, "tags": ["\udfff"]}, id="tag"),
    pytest.param({**GOOD, "tags": object()}, id="object"),
]


@pytest.mark.parametrize("odd", [*ODD, *UNENCODABLE])
def test_an_event_that_cannot_be_sent_is_invalid_and_the_others_are_sent(odd: Fields) -> None:
    outbox, sent = Outbox({}, 1_000, None), Sent()
    outbox.put_many(METRICS, around(odd))
    counts = drained(outbox, sent)

    assert [GOOD] * 400 == [json.loads(value) for _, value in sent.values]
    assert (401, 400, 1) == (counts["reported"], counts["delivered"], counts["invalid"])


@pytest.mark.parametrize("odd", ODD)
def test_an_event_that_cannot_be_sent_costs_no_other_of_its_batch(odd: Fields) -> None:
    outbox, sent = Outbox({}, 1_000, Columns()), Sent()
    outbox.put_many(METRICS, around(odd))
    counts = drained(outbox, sent)

    assert [[GOOD] * 200] * 2 == [json.loads(value) for _, value in sent.values]
    assert (401, 400, 1) == (counts["reported"], counts["delivered"], counts["invalid"])


def test_the_thread_outlives_an_odd_event(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent()
    monkeypatch.setattr(module, "Producer", lambda _: sent)
    outbox = Outbox({}, 10, None)
    outbox.start()
    outbox.put(METRICS, "\ud800", {**GOOD, "tags": nested(100_000)})
    outbox.put(METRICS, "s", GOOD)
    deadline = time.monotonic() + 5
    while not sent.values and time.monotonic() < deadline:
        time.sleep(0.01)
    alive = outbox.is_alive()
    outbox.close(1.0)

    assert alive
    assert [(METRICS, GOOD)] == [(topic, json.loads(value)) for topic, value in sent.values]


@pytest.mark.parametrize("name", ["tokens_input", "timestamp", "retry_count"])
def test_a_value_that_raises_when_it_is_converted_fits_no_batch(name: str) -> None:
    assert not Columns().fits({**GOOD, name: Unreadable()})


def test_a_quality_score_without_its_score_is_invalid() -> None:
    outbox = Outbox({}, 10, None)
    outbox.put(QUALITY, "s", GOOD)
    outbox.put(QUALITY, "s", {**GOOD, "overall": 80.0})
    counts = drained(outbox, Sent())

    assert (1, 1) == (counts["invalid"], counts["delivered"])


def test_events_that_cannot_be_packed_go_alone_and_in_order() -> None:
    outbox, sent = Outbox({}, 100, Columns(fails=True)), Sent()
    events = [{**GOOD, "tokens_input": n} for n in range(20)]
    outbox.put_many(METRICS, [("s", event) for event in events])
    counts = drained(outbox, sent)

    assert events == [json.loads(value) for _, value in sent.values]
    assert (20, 20) == (counts["sent"], counts["delivered"])


def test_a_batch_that_is_too_large_is_sent_as_single_events() -> None:
    outbox = Outbox({}, 100, Columns())
    sent = Sent(lambda value: TOO_LARGE if value[:1] == b"[" else None)
    outbox.put_many(METRICS, [("s", GOOD)] * 20)

    assert (20, 0) == ((counts := drained(outbox, sent))["delivered"], counts["failed"])


def test_what_is_refused_has_failed_and_the_next_one_goes_on() -> None:
    outbox = Outbox({}, 10, None)
    sent = Sent(lambda value: TOO_LARGE if b"large" in value else None)
    outbox.put(METRICS, "s", {**GOOD, "tags": "large"})
    outbox.put(METRICS, "s", GOOD)
    counts = drained(outbox, sent)

    assert (2, 1, 1) == (counts["sent"], counts["delivered"], counts["failed"])


def test_a_producer_that_cannot_go_on_is_replaced_and_no_event_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken, whole = Sent(lambda _: FATAL), Sent()
    fresh = iter([broken, whole])
    monkeypatch.setattr(module, "Producer", lambda _: next(fresh))
    outbox = Outbox({}, 10, None)
    outbox.put(METRICS, "s", GOOD)
    outbox.start()
    deadline = time.monotonic() + 5
    while not whole.values and time.monotonic() < deadline:
        time.sleep(0.01)
    outbox.close(1.0)

    counts = outbox.counts()
    assert (1, 1, 1) == (counts["reported"], counts["sent"], counts["delivered"])


def test_what_a_producer_never_tells_of_has_failed() -> None:
    class Mute(Sent):
        def flush(self, _: float) -> None:
            raise RuntimeError

    outbox = Outbox({}, 10, None)
    outbox.put_many(METRICS, [("s", GOOD)] * 3)

    assert 3 == drained(outbox, Mute())["failed"]


def test_a_batch_stays_in_the_queue_until_it_is_taken_over() -> None:
    outbox = Outbox({}, 10, Columns())
    outbox.put_many(METRICS, [("s", GOOD)] * 4)
    outbox._producer = Sent(lambda _: BufferError())
    outbox._stopped.set()
    outbox._drain(time.monotonic() + 0.01)

    assert (4, 0) == ((counts := outbox.counts())["waiting"], counts["sent"])
    outbox.close(0.01)
    assert 4 == outbox.counts()["dropped"]


def test_acknowledgements_are_sent_and_counted_nowhere() -> None:
    outbox, sent = Outbox({}, 2, None), Sent()
    outbox.put(METRICS, "s", GOOD)
    for n in range(3):
        outbox.acknowledge("app", b"%d" % n)

    assert (1, 1) == ((counts := outbox.counts())["waiting"], counts["reported"])

    counts = drained(outbox, sent)

    assert [(CONFIG_ACK, b"1"), (CONFIG_ACK, b"2")] == sent.values[:2]
    assert (1, 1) == (counts["sent"], counts["delivered"])


def test_acknowledgements_that_are_left_at_the_end_are_no_dropped_reports() -> None:
    outbox = Outbox({}, 10, None)
    outbox._producer = Sent(lambda _: BufferError())
    outbox.put(METRICS, "s", GOOD)
    outbox.acknowledge("app", b"1")
    outbox.close(0.01)

    assert (1, 1, 0) == (
        *((counts := outbox.counts())["reported"], counts["dropped"], counts["waiting"]),
    )
