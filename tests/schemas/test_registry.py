"""Ids of schemas, asked for over HTTP or known in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import avsc, registry
from schemas.errors import Incompatible, Reason, RegistryUnavailable, Undecodable
from schemas.journal import ChangelogEntry
from schemas.metric import MetricEvent
from schemas.registry import LocalRegistry, RegistryClient
from schemas.topics import METRICS, QUALITY, changelog


class Door(BaseHTTPRequestHandler):
    """A registry that answers as its server was told to, and notes what it was asked."""

    server: House

    def answer(self) -> None:
        path = unquote(self.path).partition("?")[0]
        size = int(self.headers.get("Content-Length", 0))
        body = json.loads(self.rfile.read(size)) if size else {}
        self.server.asked.append(path)
        status, answer = self.server.answers(path, body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815  # as it is inherited

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as it is inherited
        del format, args


class House(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Door)
        self.asked: list[str] = []
        self.local = LocalRegistry()
        self.failing: list[tuple[int, Any]] = []
        self.other: dict[str, Any] | None = None
        here = self.local.register_all()
        self.listing: tuple[int, Any] = (200, [{"subject": s, "id": i} for s, i in here.items()])

    def answers(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if self.failing:
            return self.failing.pop(0)
        if path == "/schemas":
            return self.listing
        if path.startswith("/subjects/"):
            return 200, {"id": self.local.register(body["schema"])}
        try:
            return 200, self.other or {
                "schema": self.local.schema(int(path.removeprefix("/schemas/ids/"))).text
            }
        except Undecodable:
            return 404, {"error_code": 40403, "message": "Schema not found"}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def house() -> Iterator[House]:
    with House() as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(house: House) -> Iterator[RegistryClient]:
    with RegistryClient(house.url, retries=1) as client:
        yield client


def test_an_id_is_asked_for_once(house: House, client: RegistryClient) -> None:
    ids = {client.id_of(METRICS, MetricEvent) for _ in range(3)}

    assert {house.local.id_of(METRICS, MetricEvent)} == ids
    assert ["/subjects/llmopt.metrics.v1-value/versions"] == house.asked


def test_a_schema_is_asked_for_once(house: House, client: RegistryClient) -> None:
    id_ = house.local.id_of(METRICS, MetricEvent)

    names = {client.schema(id_).name for _ in range(3)}

    assert {"llmopt.MetricEvent"} == names
    assert [f"/schemas/ids/{id_}"] == house.asked


def test_an_unknown_id_is_asked_for_again_after_a_while(
    house: House, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        with pytest.raises(Undecodable) as caught:
            client.schema(999)
        assert Reason.UNKNOWN_SCHEMA == caught.value.reason
    assert 1 == len(house.asked)

    monkeypatch.setattr(registry, "UNKNOWN_FOR", 0.0)
    with pytest.raises(Undecodable):
        client.schema(998)
    with pytest.raises(Undecodable):
        client.schema(998)

    assert 3 == len(house.asked)


def test_of_many_ids_one_list_says_which_there_are_not(
    house: House, client: RegistryClient
) -> None:
    id_ = house.local.id_of(METRICS, MetricEvent)
    client.schema(id_)
    house.asked.clear()

    client.look_up([id_, *range(1_000, 3_000)])
    for missing in range(1_000, 3_000):
        with pytest.raises(Undecodable, match=f"knows no schema {missing}"):
            client.schema(missing)
    client.look_up(range(1_000, 3_000))

    assert ["/schemas"] == house.asked
    assert "llmopt.MetricEvent" == client.schema(id_).name


def test_an_id_that_is_registered_later_is_found(
    house: House, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "UNKNOWN_FOR", 0.0)
    client.look_up(range(1, 1_000))
    later = house.local.register('{"type":"record","name":"later","fields":[]}')

    assert "later" == client.schema(later).name


def test_a_list_is_asked_for_again_after_a_while_only(
    house: House, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for begin in range(10_000, 20_000, 100):
        client.look_up(range(begin, begin + 100))

    assert ["/schemas"] == house.asked

    monkeypatch.setattr(registry, "UNKNOWN_FOR", 0.0)
    client.look_up(range(20_000, 20_100))
    client._list = registry.List()  # as if it were old
    client.look_up(range(20_000, 20_100))

    assert 2 == len(house.asked)


def test_an_id_that_was_given_after_the_list_is_found(house: House, client: RegistryClient) -> None:
    client.look_up(range(10_000, 20_000))
    later = house.local.register('{"type":"record","name":"later","fields":[]}')

    client.look_up(range(10_000, 20_000))

    assert "later" == client.schema(later).name


@given(
    there=st.frozensets(st.integers(1, 5_000), min_size=1, max_size=20),
    id_=st.integers(-(2**31), 2**31),
    age=st.floats(0, 10),
)
def test_a_list_denies_only_what_registries_do_not_give_next(
    there: frozenset[int], id_: int, age: float
) -> None:
    listed = registry.List(there, max(there), registry.UNKNOWN_FOR)

    if listed.lacks(id_, age):
        assert age < registry.UNKNOWN_FOR
        assert id_ not in there
        assert id_ not in range(max(there) + 1, max(there) + registry.NEARBY + 1)
    else:
        assert age >= registry.UNKNOWN_FOR or id_ in there or id_ > max(there)


def test_a_few_ids_are_asked_for_one_by_one(house: House, client: RegistryClient) -> None:
    client.look_up([1_000, 1_001])

    assert [] == house.asked


@pytest.mark.parametrize(
    "listing",
    [
        (404, {"error_code": 404, "message": "HTTP 404 Not Found"}),
        (200, []),
        (200, [{"subject": "of somebody else", "id": 7_777}]),
    ],
)
def test_a_list_that_is_not_of_what_there_is_says_nothing(
    house: House, client: RegistryClient, listing: tuple[int, Any]
) -> None:
    id_ = house.local.id_of(METRICS, MetricEvent)
    client.schema(id_)
    house.listing = listing

    client.look_up(range(1, 1_000))

    other = next(each for each in house.local.register_all().values() if each != id_)
    assert client.schema(other).text == house.local.schema(other).text


def test_what_is_not_there_is_forgotten_when_it_is_too_much(
    client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "UNKNOWN_FOR", 0.0)
    monkeypatch.setattr(registry, "MOST_UNKNOWN", 50)
    for begin in range(1_000, 2_000, 100):
        client.look_up(range(begin, begin + 100))

    assert 200 > len(client._unknown)


@pytest.mark.parametrize(
    "other",
    [
        {"schema": "{}", "schemaType": "JSON"},
        {"schema": '{"type":"record"}'},
        {"schema": "syntax"},
    ],
)
def test_a_schema_that_is_not_avro_is_foreign(
    house: House, client: RegistryClient, other: dict[str, Any]
) -> None:
    house.other = other

    for _ in range(2):
        with pytest.raises(Undecodable) as caught:
            client.schema(5)
        assert Reason.FOREIGN_SCHEMA == caught.value.reason
    assert 1 == len(house.asked)


def test_every_schema_can_be_registered_and_again(house: House, client: RegistryClient) -> None:
    ids = client.register_all()

    assert house.local.register_all() == ids
    assert ids == client.register_all()
    assert list(avsc.subjects()) == list(ids)


@pytest.mark.parametrize("status", [409, 422])
def test_a_refusal_says_what_to_change(house: House, client: RegistryClient, status: int) -> None:
    house.failing = [(status, {"error_code": status, "message": "the field model is gone."})]

    with pytest.raises(
        Incompatible, match=r"MetricEvent as llmopt\S+ the field model is gone. Make"
    ):
        client.register_all()


def test_a_hiccup_is_bridged(house: House, client: RegistryClient) -> None:
    house.failing = [(503, {"error_code": 50003, "message": "later"})]

    assert client.id_of(METRICS, MetricEvent)


@pytest.mark.parametrize("status", [401, 500, 503])
def test_a_registry_that_fails_is_unavailable(
    house: House, client: RegistryClient, status: int
) -> None:
    house.failing = [(status, {"error_code": status, "message": "no"})] * 3

    with pytest.raises(RegistryUnavailable, match="fails"):
        client.schema(1)
    house.failing = []
    assert client.schema(1)


def test_a_registry_that_is_not_there_is_unavailable_and_keeps_its_secret() -> None:
    with (
        RegistryClient("http://ada:secret@127.0.0.1:9", retries=0, timeout=1.0) as client,
        pytest.raises(RegistryUnavailable, match="does not answer") as caught,
    ):
        client.id_of(METRICS, MetricEvent)

    assert "secret" not in str(caught.value)


def test_in_memory_one_schema_has_one_id_on_all_its_topics() -> None:
    local = LocalRegistry()

    assert 1 == local.id_of(METRICS, MetricEvent)
    assert 1 == len({local.id_of(changelog(s), ChangelogEntry) for s in ("merge", "decide")})
    assert local.register_all() == LocalRegistry().register_all()
    with pytest.raises(Undecodable):
        local.schema(999)
    with pytest.raises(ValueError, match="not an Avro schema"):
        local.register("{")
    assert QUALITY.record is not None
    assert local.schema(local.id_of(QUALITY, QUALITY.record)).name == "llmopt.QualityScore"
