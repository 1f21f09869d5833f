"""What commands share: the settings, a codec, a broker that answers."""

from __future__ import annotations

import getpass
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from streams import kafka
from streams.settings import Settings, current

if TYPE_CHECKING:
    from schemas.codec import Codec

PATIENCE = 10.0  # seconds for a broker that is there, but slow


def settings() -> Settings:
    """The settings in force, with librdkafka's own log kept off the terminal.

    Raises:
        InvalidSettings: A variable cannot be used.
    """
    logging.getLogger("llmopt.librdkafka").addHandler(logging.NullHandler())
    return current()


def reached() -> Settings:
    """The settings in force, once a broker has answered.

    Raises:
        InvalidSettings: as `settings`.
        KafkaException: No broker answers; known at once where nobody listens.
    """
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415  # a stop needs none

    found = settings()
    errors: list[KafkaError] = []
    admin = AdminClient(
        {"bootstrap.servers": found.bootstrap_servers, "error_cb": errors.append},
        logger=kafka.client_log(),
    )
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            admin.list_topics(timeout=0.5)
        except KafkaException:
            admin.poll(0)
            down = any(each.code() == KafkaError._ALL_BROKERS_DOWN for each in errors)  # noqa: SLF001  # its public name
            if down or time.monotonic() > deadline:
                raise
        else:
            return found


@contextmanager
def codec(found: Settings) -> Iterator[Codec]:
    """Reads and writes the records of all topics; asks the registry for Avro only."""
    from schemas.codec import Codec  # noqa: PLC0415  # a stop is sent before that is had
    from schemas.registry import RegistryClient  # noqa: PLC0415  # the same

    registry = RegistryClient(found.schema_registry_url)
    try:
        yield Codec(registry)
    finally:
        registry.close()


def person() -> str:
    """Who gives a command, as the system knows them."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in many containers
        return "operator"
