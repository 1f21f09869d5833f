"""The broker's settings, as a value and as the file that Kafka reads."""

from collections.abc import Mapping
from pathlib import Path

from infra.ports import LOOPBACK

MESSAGE_MAX_BYTES = 2 * 1024 * 1024


def settings(data: Path, port: int, controller_port: int) -> dict[str, str]:
    """What one broker that is its own controller needs, on loopback, small, and quick to come back.

    Args:
        data: The folder of its logs.
        port: Where clients connect.
        controller_port: Where it talks to itself.

    Returns:
        Setting by name.
    """
    client, controller = (
        f"PLAINTEXT://{LOOPBACK}:{port}",
        f"CONTROLLER://{LOOPBACK}:{controller_port}",
    )
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"{client},{controller}",
        "advertised.listeners": f"{client},{controller}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": str(data),
        # A broker that was killed may register again only when its old registration has expired.
        "broker.session.timeout.ms": "2000",
        "broker.heartbeat.interval.ms": "300",
        # One node: nothing can be replicated, and the internal topics have no need for many
        # partitions.
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "4",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "4",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "default.replication.factor": "1",
        "min.insync.replicas": "1",
        "num.partitions": "4",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "message.max.bytes": str(MESSAGE_MAX_BYTES),
        "replica.fetch.max.bytes": str(MESSAGE_MAX_BYTES),
        # A transaction left open by a dead worker holds up every reader: none may stay open long,
        # and one that timed out is aborted within a second instead of ten.
        "transaction.max.timeout.ms": "60000",
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
        # The default of 128 MB does not fit into a small heap.
        "log.cleaner.dedupe.buffer.size": "33554432",
        "num.network.threads": "2",
        "num.io.threads": "4",
    }


def render(values: Mapping[str, str]) -> str:
    """The text of a Java properties file.

    >>> print(render({"log.dirs": "/data"}), end="")
    log.dirs=/data
    """
    return "".join(
        f"{name}={value.replace(chr(92), chr(92) * 2)}\n" for name, value in values.items()
    )
