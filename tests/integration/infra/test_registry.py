import http.client
import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from infra.environment import Environment
from infra.registry.process import Registry

pytestmark = pytest.mark.integration

A: dict[str, Any] = {"name": "a", "type": "int"}
B: dict[str, Any] = {"name": "b", "type": "string"}


def record(*fields: dict[str, Any]) -> Schema:
    return Schema(json.dumps({"type": "record", "name": "R", "fields": fields}), "AVRO")


@pytest.fixture
def client(environment: Environment) -> Iterator[SchemaRegistryClient]:
    with SchemaRegistryClient({"url": environment.registry_url}) as opened:
        yield opened


@pytest.fixture
def subject() -> str:
    return f"team/{uuid.uuid4()}-value"


def ask(url: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=30)
    connection.request(method, path, None if body is None else json.dumps(body))
    response = connection.getresponse()
    said = json.loads(response.read())
    connection.close()
    return response.status, said


def own(environment: Environment) -> Registry:
    if environment.registry is None:
        pytest.skip("needs a registry of our own")
    return environment.registry


def test_what_is_registered_is_found_by_id_subject_and_content(
    client: SchemaRegistryClient, subject: str
) -> None:
    number = client.register_schema(subject, record(A))
    latest = client.get_latest_version(subject)

    assert json.loads(record(A).schema_str) == json.loads(client.get_schema(number).schema_str)
    assert (subject, 1, number) == (latest.subject, latest.version, latest.schema_id)
    assert number == client.lookup_schema(subject, record(A)).schema_id
    assert number == client.register_schema(subject, record(A))
    assert subject in client.get_subjects()
    assert [1] == client.get_versions(subject)


def test_all_schemas_are_listed_those_of_deleted_versions_when_asked(
    environment: Environment, client: SchemaRegistryClient, subject: str
) -> None:
    first = client.register_schema(subject, record(A))
    second = client.register_schema(subject, record(A, {**B, "default": ""}))
    client.delete_version(subject, 1)

    def listed(words: str) -> list[int]:
        status, found = ask(environment.registry_url, "GET", f"/schemas?subjectPrefix={words}")
        assert 200 == status
        return [each["id"] for each in found if each["subject"] == subject]

    assert [second] == listed(subject)
    assert [first, second] == listed(f"{subject}&deleted=true")
    assert [second] == listed(f"{subject}&deleted=true&latestOnly=true")
    assert [] == listed("another")


def test_the_stock_serializer_writes_what_the_stock_deserializer_reads(
    environment: Environment, subject: str
) -> None:
    where = SerializationContext(subject, MessageField.VALUE)
    value = {"a": 7}
    with SchemaRegistryClient({"url": environment.registry_url}) as writing:
        framed = AvroSerializer(writing, record(A).schema_str)(value, where)
    with SchemaRegistryClient({"url": environment.registry_url}) as reading:
        assert value == AvroDeserializer(reading)(framed, where)
        assert f"{subject}-value" in reading.get_subjects()


def test_an_incompatible_schema_is_refused_with_its_reason(
    client: SchemaRegistryClient, subject: str
) -> None:
    client.register_schema(subject, record(A))

    assert not client.test_compatibility(subject, record(A, B))

    with pytest.raises(SchemaRegistryError, match="missing default value") as refused:
        client.register_schema(subject, record(A, B))

    assert 409 == refused.value.http_status_code
    assert [1] == client.get_versions(subject)


def test_a_subject_may_set_its_own_level(client: SchemaRegistryClient, subject: str) -> None:
    client.register_schema(subject, record(A))
    client.set_compatibility(subject, "NONE")

    assert "NONE" == client.get_compatibility(subject)

    client.register_schema(subject, record(A, B))

    assert [1, 2] == client.get_versions(subject)


def test_a_killed_registry_comes_back_with_the_same_ids(
    environment: Environment, client: SchemaRegistryClient, subject: str
) -> None:
    number = client.register_schema(subject, record(A))
    registry = own(environment)
    registry.kill()
    registry.start()
    with SchemaRegistryClient({"url": environment.registry_url}) as fresh:
        assert subject == fresh.get_latest_version(subject).subject
        assert number == fresh.register_schema(subject, record(A))
        assert number < fresh.register_schema(f"other-{subject}", record(B))


@pytest.mark.usefixtures("own_servers")
def test_two_registries_on_one_kafka_never_give_one_id_twice(
    environment: Environment, tmp_path: Path
) -> None:
    ids: dict[str, int] = {}

    def register(url: str, names: list[str]) -> None:
        for name in names:
            schema = {"schema": json.dumps({"type": "fixed", "name": name, "size": 1})}
            path = f"/subjects/{name}-{uuid.uuid4()}/versions"
            ids[name] = ask(url, "POST", path, schema)[1]["id"]

    with Registry(tmp_path, environment.bootstrap_servers) as second:
        prefix = f"F{uuid.uuid4().hex}"
        names = [[f"{prefix}_{who}_{i}" for i in range(4)] for who in "ab"]
        urls = [environment.registry_url, second.url]
        threads = [threading.Thread(target=register, args=a) for a in zip(urls, names, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert 8 == len(set(ids.values()))
        for name, number in ids.items():
            for url in urls:
                status, said = ask(url, "GET", f"/schemas/ids/{number}/schema")

                assert (200, name) == (status, said["name"])


def test_the_topic_is_compacted_and_has_the_protocols_records(
    environment: Environment, client: SchemaRegistryClient, subject: str
) -> None:
    number = client.register_schema(subject, record(A))
    consumer = Consumer(
        {"bootstrap.servers": environment.bootstrap_servers, "group.id": subject}
        | {"enable.partition.eof": True, "isolation.level": "read_committed"}
    )
    consumer.assign([TopicPartition("_schemas", 0, 0)])
    records = {}
    while (message := consumer.poll(10.0)) is not None and message.error() is None:
        records[message.key().decode()] = json.loads(message.value() or b"null")
    consumer.close()
    key = f'{{"keytype":"SCHEMA","subject":"{subject}","version":1,"magic":1}}'

    assert (number, False) == (records[key]["id"], records[key]["deleted"])


ERRORS = [
    ("GET", "/subjects/none/versions", None, 404, 40401),
    ("GET", "/subjects/none/versions/1", None, 404, 40401),
    ("POST", "/subjects/none", {"schema": '"int"'}, 404, 40401),
    ("DELETE", "/subjects/none", None, 404, 40401),
    ("GET", "/schemas/ids/2000000000", None, 404, 40403),
    ("GET", "/schemas/ids/x", None, 404, 40403),
    ("POST", "/subjects/s/versions", {"schema": '{"type": "nonsense"}'}, 422, 42201),
    ("POST", "/subjects/s/versions", {"schema": '"int"', "schemaType": "JSON"}, 422, 42201),
    ("POST", "/subjects/s/versions", {"schema": '"int"', "references": [{}]}, 422, 42201),
    ("POST", "/subjects/s/versions", {"schem": '"int"'}, 422, 42201),
    ("POST", "/subjects/s/versions", ["int"], 422, 422),
    ("GET", "/subjects/s/versions/0", None, 422, 42202),
    ("GET", "/subjects/s/versions/newest", None, 422, 42202),
    ("PUT", "/config", {"compatibility": "SIDEWARD"}, 422, 42203),
    ("GET", "/config/none", None, 404, 40408),
    ("DELETE", "/subjects/s?permanent=true", None, 422, 422),
    ("GET", "/nowhere", None, 404, 404),
]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: f"{case[0]} {case[1]}")
def test_errors_have_the_protocols_codes(
    environment: Environment, case: tuple[str, str, object, int, int]
) -> None:
    method, path, body, status, code = case
    got, said = ask(environment.registry_url, method, path, body)

    assert (status, code) == (got, said["error_code"])
    assert said["message"]


def test_a_deleted_version_leaves_the_others_and_its_id(
    environment: Environment, client: SchemaRegistryClient, subject: str
) -> None:
    first = client.register_schema(subject, record(A))
    client.register_schema(subject, record(A, {**B, "default": ""}))

    assert 1 == client.delete_version(subject, 1)
    assert [2] == client.get_versions(subject)

    path = f"/subjects/{subject.replace('/', '%2F')}/versions/1"

    assert 40402 == ask(environment.registry_url, "GET", path)[1]["error_code"]
    assert 200 == ask(environment.registry_url, "GET", f"/schemas/ids/{first}")[0]


def test_reading_needs_no_kafka_and_writing_waits_for_it(
    environment: Environment, client: SchemaRegistryClient, subject: str
) -> None:
    if environment.broker is None:
        pytest.skip("needs a broker of our own")
    number = client.register_schema(subject, record(A))
    environment.broker.kill()
    path = f"/subjects/{subject.replace('/', '%2F')}/versions"
    answers: list[Any] = []
    body = {"schema": record(A, {**B, "default": ""}).schema_str}
    writing = threading.Thread(
        target=lambda: answers.append(ask(environment.registry_url, "POST", path, body))
    )
    writing.start()

    assert (200, [1]) == ask(environment.registry_url, "GET", path)
    assert 200 == ask(environment.registry_url, "GET", f"/schemas/ids/{number}")[0]

    environment.broker.start()
    writing.join()

    assert 200 == answers[0][0]
    assert (200, [1, 2]) == ask(environment.registry_url, "GET", path)
