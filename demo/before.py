"""What has to be true before the demo starts anything: settings that can be used, empty servers."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from typing import Any

from confluent_kafka import Consumer

from demo.run import DemoFailed
from sinks.migrate import migrate
from sinks.postgres import Postgres
from streams.exactly_once.reading import end_of
from streams.settings import Settings, named

OURS = "llmopt."


def check(env: Mapping[str, str]) -> None:
    """The servers that *env* names answer, and have nothing of this program yet.

    Raises:
        InvalidSettings: A value cannot be used, or a variable LLMOPT_* does not exist.
        KafkaException: No broker answers.
        Unavailable: Postgres does not.
        MigrationRefused: Postgres has tables of another version.
        DemoFailed: There are records already: they are somebody's, or of an earlier run, whose
            journals would be counted with those of this one.
    """
    settings, given = Settings.read(env), named(env)
    if "LLMOPT_BOOTSTRAP_SERVERS" in given:
        topic = filled(settings.bootstrap_servers)
        if topic is not None:
            raise DemoFailed(
                f"{topic} at {settings.bootstrap_servers} has records already, beside which the "
                f"demo would write a catalog and simulated traffic: name a Kafka whose {OURS}* "
                "topics are empty, or unset LLMOPT_BOOTSTRAP_SERVERS."
            )
    if "LLMOPT_DATABASE_URL" in given:
        migrate(settings.database_url)
        with closing(Postgres(settings.database_url)) as tables:
            if tables.positions():
                raise DemoFailed(
                    "The database of LLMOPT_DATABASE_URL holds rows of another Kafka's topics: "
                    "name an empty one, or unset LLMOPT_DATABASE_URL."
                )


def filled(brokers: str) -> str | None:
    """A topic of this program that has records; None when none has."""
    # Its log would only repeat, line by line, what is raised.
    quiet = {"bootstrap.servers": brokers, "group.id": "llmopt.demo", "log_level": 0}
    with closing(Consumer(quiet)) as reader:
        topics: Mapping[str, Any] = reader.list_topics(timeout=10).topics
        for name, topic in sorted(topics.items()):
            if name.startswith(OURS):
                for partition in topic.partitions:
                    low, high = end_of(reader, (name, partition))
                    if high > low:
                        return name
    return None
