"""The client beside an application, with no Kafka anywhere."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmopt_client import Client, Config
from llmopt_client import kafka as names
from llmopt_client.outbox import Outbox, encode
from schemas import topics

NOWHERE = "127.0.0.1:1"
DEFAULT = Config(provider="own", model="own-model")


@pytest.fixture
def client() -> Iterator[Client]:
    one = Client(NOWHERE, "app")
    yield one
    one.close(0.1)


def reported(client: Client) -> list[dict[str, Any]]:
    """What waits, or has been waiting; read before the thread takes it."""
    return [
        dict(fields) for _, _, fields in client._outbox._waiting if not isinstance(fields, bytes)
    ]


@pytest.fixture
def held(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    """A client whose reports stay in its queue."""
    monkeypatch.setattr(client._outbox, "_drain", lambda _: None)
    time.sleep(0.06)
    return client


def test_an_application_without_kafka_runs_on_its_defaults_and_closes_in_time(
    client: Client,
) -> None:
    client.report(service="s", endpoint="e", model="m", provider="p", latency_ms=1.0)

    assert DEFAULT == client.get_config("s", "e", "u", DEFAULT)
    assert not client.ready(0.01)

    began = time.monotonic()
    client.close(0.5)

    assert time.monotonic() - began < 1.5
    counts = client.counters()
    assert counts["reported"] == counts["dropped"] + counts["invalid"] + counts["sent"]
    assert counts["sent"] == counts["delivered"] + counts["failed"]


def test_closing_twice_and_reporting_afterwards_do_nothing(client: Client) -> None:
    client.close(0.2)
    client.close(0.2)

    assert not client.report(service="s")
    assert 1 == client.counters()["dropped"]


@pytest.mark.parametrize("odd", [None, 5, [], {}, b"bytes", "\ud800", object()])
def test_no_argument_makes_the_client_raise(client: Client, odd: object) -> None:
    any_odd: Any = odd
    client.get_config(any_odd, any_odd, any_odd, any_odd)
    client.get_config("s", "e", any_odd, DEFAULT)
    client.report(service=odd, latency_ms=odd)
    client.report_many(any_odd)
    client.report_many([any_odd])
    client.report_quality(any_odd, service=any_odd, endpoint=any_odd)
    with client.track_request(any_odd, any_odd, unit=any_odd) as request:
        request.tokens(any_odd, any_odd)


def test_arguments_that_can_never_work_are_told_at_once() -> None:
    with pytest.raises(ValueError, match="bootstrap_servers"):
        Client("", "app")
    with pytest.raises(ValueError, match="registry_url"):
        Client(NOWHERE, "app", wire="batch")


def test_a_full_queue_drops_the_newest_and_counts_it() -> None:
    outbox = Outbox({}, 10, None)
    taken = [outbox.put("t", "k", {"n": n}) for n in range(25)]

    assert [True] * 10 + [False] * 15 == taken
    assert 3 == 3 + outbox.put_many("t", [("k", {})] * 5)
    counts = outbox.counts()
    assert (30, 20, 10) == (counts["reported"], counts["dropped"], counts["waiting"])


def test_reports_of_many_threads_are_all_accounted_for() -> None:
    outbox = Outbox({}, 1_000, None)

    def report() -> None:
        for n in range(2_000):
            outbox.put("t", "k", {"n": n})

    threads = [threading.Thread(target=report) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts = outbox.counts()
    assert (8_000, 7_000, 1_000) == (counts["reported"], counts["dropped"], counts["waiting"])


def test_an_event_that_is_no_json_is_counted_and_the_next_one_goes_on() -> None:
    good = {"timestamp": 1, "service": "s", "endpoint": "e", "model": "m", "provider": "p"}

    assert good == json.loads(encode("t", {**good, "cost_usd": None}))
    with pytest.raises(ValueError, match="endpoint is missing"):
        encode("t", {**good, "endpoint": None})
    for odd in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="JSON compliant"):
            encode("t", {**good, "latency_ms": odd})
    with pytest.raises(TypeError):
        encode("t", {**good, "tags": object()})


def test_the_clients_topics_are_those_of_the_house() -> None:
    ours = (names.METRICS, names.QUALITY, names.CONFIG, names.CONFIG_ACK)
    theirs = (topics.METRICS, topics.QUALITY, topics.CONFIG, topics.CONFIG_ACK)

    assert tuple(topic.name for topic in theirs) == ours


def test_a_tracked_request_is_measured_and_reported(held: Client) -> None:
    with held.track_request("s", "e", unit="u", default=DEFAULT, region="eu") as request:
        time.sleep(0.01)
        request.first_token()
        time.sleep(0.01)
        request.tokens(100, 20, 40)
        request.cost(0.5)
        request.retry()
    (event,) = reported(held)

    assert 10 <= event["time_to_first_token_ms"] < event["latency_ms"] < 1_000
    assert abs(event["timestamp"] - time.time() * 1_000) < 60_000
    assert {
        "service": "s",
        "endpoint": "e",
        "model": "own-model",
        "provider": "own",
        "tokens_input": 100,
        "tokens_output": 20,
        "cached_tokens": 40,
        "cost_usd": 0.5,
        "status_code": 200,
        "error_type": None,
        "retry_count": 1,
        "unit_id": "u",
        "region": "eu",
        "config_version": None,
        "cohort": None,
        "request_id": request.request_id,
    }.items() <= event.items()


class RateLimitError(Exception):
    status_code = 429


class ReadTimeout(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (TimeoutError(), 504, "timeout"),
        (ReadTimeout(), 504, "timeout"),
        (RateLimitError(), 429, "RateLimitError"),
        (ValueError("x"), 500, "ValueError"),
        (asyncio.CancelledError(), 499, "cancelled"),
        (KeyboardInterrupt(), 499, "cancelled"),
    ],
)
def test_an_exception_is_reported_and_goes_on_unchanged(
    held: Client, error: BaseException, status: int, name: str
) -> None:
    with pytest.raises(type(error)) as caught, held.track_request("s", "e"):
        raise error
    (event,) = reported(held)

    assert error is caught.value
    assert (status, name) == (event["status_code"], event["error_type"])


def test_an_error_without_an_exception_is_the_applications_to_name(held: Client) -> None:
    with held.track_request("s", "e") as request:
        request.error("refusal", 422)
    (event,) = reported(held)

    assert (422, "refusal") == (event["status_code"], event["error_type"])


def test_the_config_that_served_is_the_config_that_is_reported(held: Client) -> None:
    config = Config(provider="p", model="m", version="v7", cohort="candidate")
    with held.track_request("s", "e", config=config) as request:
        request.quality(88.0, method="judge")
    quality, event = reported(held)

    for row in (quality, event):
        assert ("v7", "candidate", "m", "p") == (
            *(row["config_version"], row["cohort"], row["model"], row["provider"]),
        )
    assert (88.0, "judge", event["request_id"]) == (
        *(quality["overall"], quality["method"], quality["request_id"]),
    )


def test_a_given_timestamp_stays_and_the_clock_fills_the_others() -> None:
    client = Client(NOWHERE, "app", clock=lambda: 42)
    client._outbox._drain = lambda _: None  # type: ignore[method-assign]
    client.report(service="s", timestamp=7)
    client.report(service="s")

    assert [7, 42] == [event["timestamp"] for event in reported(client)]
    client.close(0.1)


def test_nothing_is_written_to_the_applications_output(tmp_path: Path) -> None:
    program = (
        "import time; from llmopt_client import Client\n"
        f"c = Client({NOWHERE!r}, 'app', folder={str(tmp_path)!r})\n"
        "c.report(service='s', endpoint='e', model='m', provider='p', latency_ms=1.0)\n"
        "time.sleep(0.5); c.get_config(None, None, None, 3); c.close(0.1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )

    assert ("", "") == (done.stdout, done.stderr)


def test_an_application_that_forgets_to_close_still_ends() -> None:
    program = (
        "from llmopt_client import Client\n"
        f"c = Client({NOWHERE!r}, 'app'); c.report(service='s', endpoint='e')\n"
    )
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", program], timeout=20, check=True)

    assert time.monotonic() - began < 8
