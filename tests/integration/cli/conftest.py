from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner, Result

from infra.environment import Environment
from schemas.codec import Codec
from schemas.registry import RegistryClient
from schemas.topics import TOPICS
from streams import kafka
from streams.cli import main
from streams.provision import apply, register
from streams.settings import Settings


@pytest.fixture(scope="session")
def settings(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = str(tmp_path_factory.mktemp("state"))
    settings = Settings.read(environment.env() | {"LLMOPT_STATE_DIR": folder})
    apply(settings)
    register(settings)
    return settings


class Llmopt:
    """The command, against the servers of the tests."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self.settings = settings
        self.codec = codec

    def __call__(self, *words: str, expect: int = 0, **env: str) -> Result:
        answer = CliRunner().invoke(main, list(words), env=self.settings.environment() | env)
        assert expect == answer.exit_code, (answer.output, answer.exception)
        return answer

    def json(self, *words: str, expect: int = 0) -> Any:  # any document
        return json.loads(self(*words, "--json", expect=expect).stdout)

    def produce(
        self, topic: str, key: str, value: object, headers: dict[str, bytes] | None = None
    ) -> None:
        """Put a record, or bytes, on *topic*."""
        producer = kafka.producer(self.settings.bootstrap_servers, partitioner="murmur2_random")
        if not isinstance(value, bytes):
            value = self.codec.encode(TOPICS[topic], value)
        producer.produce(topic, key=key, value=value, headers=headers)
        assert producer.flush(10) == 0


@pytest.fixture
def llmopt(settings: Settings) -> Iterator[Llmopt]:
    with RegistryClient(settings.schema_registry_url) as registry:
        yield Llmopt(settings, Codec(registry))


@pytest.fixture
def scope() -> str:
    """A scope of its own for each test."""
    return f"test/{secrets.token_hex(4)}"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The actuator is a thread of the test, in no group that could be asked for it."""
    if "nobody" not in request.node.name:
        monkeypatch.setattr("streams.commanding.running", lambda _: True)
