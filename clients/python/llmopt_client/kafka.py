"""How this client speaks to Kafka: topic names, settings, and a log that cannot flood."""

from __future__ import annotations

import logging
import time
from typing import Any

CONFIG = "llmopt.config.v1"
CONFIG_ACK = "llmopt.config.ack.v1"
METRICS = "llmopt.metrics.v1"
QUALITY = "llmopt.quality.v1"

# Silent unless the application configures logging: without a handler of its own, Python would
# print warnings to the application's stderr.
log = logging.getLogger("llmopt_client")
log.addHandler(logging.NullHandler())


class Seldom(logging.Filter):
    """At most one line in so many seconds: a client repeats itself while its broker is away."""

    def __init__(self, seconds: float = 10.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        """Whether to let a line through."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


broker_log = log.getChild("kafka")
broker_log.addFilter(Seldom())

Settings = dict[str, Any]


def common(bootstrap_servers: str, app: str, more: Settings) -> Settings:
    """What producer and consumer share; *more* (such as security settings) wins."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "client.id": f"llmopt-{app}",
        "reconnect.backoff.ms": 50,
        # an application should notice within a second that Kafka is back
        "reconnect.backoff.max.ms": 1_000,
        "socket.keepalive.enable": True,
        "logger": broker_log,
        **more,
    }


def consumer_settings(bootstrap_servers: str, app: str, more: Settings) -> Settings:
    """To read the config topic by assigned partitions; the group is a name that is never joined."""
    return {
        **common(bootstrap_servers, app, more),
        "group.id": f"llmopt-config-{app}",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        # it is read from its beginning; a place that is gone means another topic, to begin anew
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        # Data ends a wait at once. A hundred applications that ask ten times a second keep a broker
        # busy with answers that say nothing.
        "fetch.wait.max.ms": 500,
        "fetch.error.backoff.ms": 50,
        "fetch.queue.backoff.ms": 10,
    }


def producer_settings(bootstrap_servers: str, app: str, more: Settings) -> Settings:
    """To report in the background: nothing lost or doubled by a retry, small messages together."""
    return {
        **common(bootstrap_servers, app, more),
        "enable.idempotence": True,
        "partitioner": "murmur2_random",
        "linger.ms": 20,
        "compression.type": "lz4",
        "queue.buffering.max.messages": 100_000,
        "queue.buffering.max.kbytes": 65_536,
    }
