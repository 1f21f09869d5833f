from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from infra.environment import Environment
from schemas.codec import Codec
from schemas.registry import RegistryClient
from schemas.rollout import Deployment
from schemas.topics import ANOMALIES, DEPLOYMENTS
from streams import kafka
from streams.provision import apply
from streams.settings import Settings
from tests.integration.streams.member import Member, Topics

GROUP = "llmopt.detect"  # that counting.py works in
TOUCHED = (ANOMALIES.name, DEPLOYMENTS.name, f"{GROUP}.")
LEFT_WITHIN = 30.0  # seconds; a member that was killed is in its group for six


@pytest.fixture(scope="session")
def shared(
    own_servers: None,  # noqa: ARG001 - nothing is started where a Kafka is named
) -> Iterator[Environment]:
    """One broker for all tests of this folder that leave it alive."""
    folder = Path(tempfile.mkdtemp(prefix="llmopt-test-"))
    try:
        with Environment.start(folder, say=lambda _: None, database=False) as env:
            yield env
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(shared: Environment) -> Environment:
    """The shared broker, on which nothing has been counted yet."""
    forget(shared)
    apply(Settings(bootstrap_servers=shared.bootstrap_servers))
    with RegistryClient(shared.registry_url) as registry:
        registry.register_all()
    return shared


@pytest.fixture
def codec(cluster: Environment) -> Iterator[Codec]:
    with RegistryClient(cluster.registry_url) as registry:
        yield Codec(registry)


def forget(cluster: Environment) -> None:
    """Delete the group of the counting stage and all topics that it writes and reads."""
    admin = kafka.admin(cluster.bootstrap_servers)
    deadline = time.monotonic() + LEFT_WITHIN
    while True:
        try:
            admin.delete_consumer_groups([GROUP])[GROUP].result(10)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                break
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
    names = [name for name in admin.list_topics(timeout=10).topics if name.startswith(TOUCHED)]
    if names:
        for each in admin.delete_topics(names).values():
            each.result(10)
    while set(names) & set(admin.list_topics(timeout=10).topics):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.fixture
def deployment(records: Any) -> Callable[[str, int], Deployment]:
    """Records for the counting stage to count."""
    return lambda scope, revision: records.deployment(scope=scope, revision=revision)


@pytest.fixture
def topics(
    cluster: Environment, codec: Codec, deployment: Callable[[str, int], Deployment]
) -> Topics:
    return Topics(cluster.bootstrap_servers, codec, deployment)


@pytest.fixture
def join(cluster: Environment, codec: Codec) -> Iterator[Callable[[str], Member]]:
    """Joins the group under a name."""
    members: list[Member] = []

    def member(name: str) -> Member:
        members.append(Member(cluster.bootstrap_servers, codec, name))
        return members[-1]

    yield member
    for each in members:
        each.session.leave()
