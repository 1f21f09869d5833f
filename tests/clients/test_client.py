"""The client beside an application, with no Kafka anywhere."""

import asyncio
import json
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
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
    return [dict(fields) for _, _, fields in client._outbox._waiting]


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
    with client.track_request("s", "e", config=any_odd, default=any_odd, request_id=any_odd) as it:
        assert isinstance(it.config, Config)
        it.quality(any_odd)
    assert isinstance(client.get_config("s", "e", None, any_odd), Config)


def test_further_fields_may_have_any_name(held: Client) -> None:
    fields = {"service": "other", "endpoint": "other", "overall": 1.0, "self": 1}
    held.report(**fields)
    held.report_quality(80.0, **{**fields, "service": "s", "endpoint": "e"})
    with held.track_request("s", "e", **fields) as request:
        request.quality(90.0, **fields, config=None, unit="x", request_id="x")
    _, one, another, event = reported(held)

    assert [("s", "e")] * 3 == [(row["service"], row["endpoint"]) for row in (one, another, event)]
    assert (80.0, 90.0) == (one["overall"], another["overall"])
    assert request.request_id == another["request_id"]


def test_what_has_a_place_may_come_by_name(held: Client) -> None:
    with held.track_request(service="s", endpoint="e") as request:
        request.quality(overall=90.0)
    held.report_quality(overall=80.0, service="s", endpoint="e")
    rows = reported(held)

    assert [("s", "e")] * 3 == [(row["service"], row["endpoint"]) for row in rows]
    assert [90.0, None, 80.0] == [row.get("overall") for row in rows]


def test_one_odd_event_of_many_is_invalid_alone(client: Client) -> None:
    good = {"timestamp": 1, "service": "s", "endpoint": "e", "model": "m", "provider": "p"}
    odd: Any = [good, None, b"bytes", good]

    assert 4 == client.report_many(odd)

    client.close(0.5)

    counts = client.counters()
    assert (4, 2) == (counts["reported"], counts["invalid"])


def test_a_clock_that_fails_is_counted() -> None:
    def clock() -> int:
        raise RuntimeError

    with Client(NOWHERE, "app", clock=clock) as client:
        assert not client.report(service="s")
        assert 1 == client.counters()["troubles"]


def test_an_equal_default_is_no_other_default(client: Client) -> None:
    def default(model: str = "m") -> Config:
        return Config(provider="p", model=model, parameters={"a": "1"})

    served = {id(client.get_config("s", "e", None, default())) for _ in range(100)}

    assert 1 == len(served)
    assert 1 == len(client._scopes.table.plans)
    assert "other" == client.get_config("s", "e", None, default("other")).model
    assert default() == client.get_config("s", "e", None, default())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Config(parameters={"a": "1"}), Config(parameters={"a": "2"})),
        (Config(temperature=0.1), Config(temperature=0.2)),
        (Config(top_k=1), Config(max_tokens=1)),
    ],
)
def test_defaults_that_differ_are_served_apart(client: Client, one: Config, other: Config) -> None:
    for _ in range(2):
        assert one == client.get_config("s", "e", None, one)
        assert other == client.get_config("s", "e", None, other)


def test_a_default_for_every_request_does_not_fill_the_memory(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmopt_client.table.PLANS", 10)
    for n in range(100):
        assert n == client.get_config("s", "e", "u", Config(max_tokens=n)).max_tokens

    assert 10 >= len(client._scopes.table.plans)


def test_a_config_is_copied_and_pickled_as_a_value() -> None:
    config = Config(provider="p", parameters={"a": "1"})
    same = pickle.loads(pickle.dumps(config))

    assert (config, hash(config)) == (same, hash(same))
    assert hash(config) != hash(replace(config, model="m"))


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


class UnreadError(Exception):
    """As HTTP clients have them: no response yet, and asking for it raises."""

    @property
    def response(self) -> object:
        raise RuntimeError


class UnreadableError(UnreadError):
    @property
    def status_code(self) -> int:
        raise RuntimeError


class AnsweredError(UnreadError):
    status_code = 429


@pytest.mark.parametrize(
    ("error", "status", "name"),
    [
        (TimeoutError(), 504, "timeout"),
        (ReadTimeout(), 504, "timeout"),
        (RateLimitError(), 429, "RateLimitError"),
        (ValueError("x"), 500, "ValueError"),
        (UnreadError(), 500, "UnreadError"),
        (UnreadableError(), 500, "UnreadableError"),
        (AnsweredError(), 429, "AnsweredError"),
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


def test_a_request_that_cannot_be_described_is_invalid_and_its_exception_goes_on(
    client: Client,
) -> None:
    error = ValueError("x")
    request = client.track_request("s", "e")
    request.config = None  # type: ignore[assignment]
    with pytest.raises(ValueError, match="x") as caught, request:
        raise error
    client.close(0.5)

    assert error is caught.value
    assert error.__context__ is None
    assert (1, 1) == ((counts := client.counters())["reported"], counts["invalid"])


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
