"""The topics of schemas/topics.py on a cluster: created when missing, compared, never deleted."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic, ResourceType

from schemas.registry import RegistryClient
from schemas.topics import TOPICS, Topic
from streams import kafka
from streams.settings import Settings

TIMEOUT = 30.0
BROKERS_CHOICE = -1  # replication: the broker's own default


@dataclass(frozen=True, slots=True)
class Drift:
    """One way in which a topic is not what it was declared to be."""

    topic: str
    setting: str
    declared: str
    actual: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What `apply` did and what it left as it was."""

    created: tuple[str, ...]
    unchanged: tuple[str, ...]
    drift: tuple[Drift, ...]


def partitions_of(topic: Topic, settings: Settings) -> int:
    """How many partitions *topic* is declared to have."""
    if topic.partitions == "one":
        return 1
    ingest = topic.partitions == "ingest"
    return settings.partitions_ingest if ingest else settings.partitions_derived


def apply(settings: Settings) -> Applied:
    """Create the topics that are missing; what is there already is compared, never changed.

    Raises:
        KafkaException: No broker answers, or it refuses.
    """
    admin = kafka.admin(settings.bootstrap_servers)
    there = admin.list_topics(timeout=10).topics
    missing = [topic for name, topic in TOPICS.items() if name not in there]
    if missing:
        _create(admin, missing, settings)
    return Applied(
        created=tuple(topic.name for topic in missing),
        unchanged=tuple(name for name in TOPICS if name in there),
        drift=tuple(drift(settings)),
    )


def register(settings: Settings) -> Mapping[str, int]:
    """Register every schema; repeating it changes nothing.

    Returns:
        Subject → id.

    Raises:
        Incompatible: The registry refuses one.
        RegistryUnavailable: It does not answer.
    """
    registry = RegistryClient(settings.schema_registry_url)
    try:
        return registry.register_all()
    finally:
        registry.close()


def drift(settings: Settings) -> list[Drift]:
    """Where the cluster's topics differ from what is declared.

    Raises:
        KafkaException: as `apply`.
    """
    admin = kafka.admin(settings.bootstrap_servers)
    there = admin.list_topics(timeout=10).topics
    found = [Drift(name, "topic", "exists", "missing") for name in TOPICS if name not in there]
    known = [topic for name, topic in TOPICS.items() if name in there]
    for topic, actual in zip(known, _configs(admin, known), strict=True):
        declared = {"partitions": str(partitions_of(topic, settings))} | topic.config()
        actual["partitions"] = str(len(there[topic.name].partitions))
        found += [
            Drift(topic.name, setting, value, actual.get(setting, "unknown"))
            for setting, value in declared.items()
            if actual.get(setting) != value
        ]
    return found


def _create(admin: AdminClient, topics: Sequence[Topic], settings: Settings) -> None:
    wanted = [
        NewTopic(
            topic.name,
            num_partitions=partitions_of(topic, settings),
            replication_factor=BROKERS_CHOICE,
            config=topic.config(),
        )
        for topic in topics
    ]
    for future in admin.create_topics(wanted, operation_timeout=TIMEOUT).values():
        try:
            future.result(TIMEOUT)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    deadline = time.monotonic() + TIMEOUT
    names = {topic.name for topic in topics}
    while not names <= set(admin.list_topics(timeout=10).topics):
        if time.monotonic() > deadline:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "topics are not visible yet"))  # noqa: SLF001
        time.sleep(0.1)


def _configs(admin: AdminClient, topics: Sequence[Topic]) -> list[dict[str, str]]:
    """The settings of each topic as the broker has them."""
    resources = [ConfigResource(ResourceType.TOPIC, topic.name) for topic in topics]
    answers = admin.describe_configs(resources, request_timeout=TIMEOUT) if resources else {}
    return [
        {name: entry.value for name, entry in answers[resource].result(TIMEOUT).items()}
        for resource in resources
    ]
