"""Workers of one name: which consumer is whose, and which was started later."""

from __future__ import annotations

from typing import Any

from confluent_kafka import KafkaException

from streams import kafka
from streams.exactly_once.stage import Stage


def client_id(stage: Stage[Any, Any], worker: str, born: int) -> str:
    """What a worker's consumer is called in the group of a stage, and since when it lives."""
    return f"{stage.name}-{worker}{kafka.BORN}{born}"


def newer(brokers: str, group: str, client: str) -> bool:
    """Whether *group* has a member called as *client* is and born later, if one can tell."""
    try:
        members = kafka.group(kafka.admin(brokers), group, 5).members
    except (KafkaException, TimeoutError):
        return False
    name, _, born = client.rpartition(kafka.BORN)
    others = (each.client_id.rpartition(kafka.BORN) for each in members)
    return any(
        other == name and since.isdigit() and int(since) > int(born) for other, _, since in others
    )
