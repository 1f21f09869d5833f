"""What a dead worker left open is aborted at once, not when its transaction's time is over.

Offsets are committed with the name of the worker. Whoever takes a partition over sees there who had
it; if no member of the group has that name, a producer with its transactional id ends what it left
open, and fences it should it only have been asleep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from streams import kafka
from streams.exactly_once.mark import owner
from streams.exactly_once.stage import Stage
from streams.log import log

PATIENCE = 5.0  # seconds, of each question


def transactional_id(stage: Stage[Any, Any], worker: str) -> str:
    """What the producer of a stage in the worker of that name is called."""
    return f"{stage.group}.{worker}"


def fence_the_dead(
    stage: Stage[Any, Any], brokers: str, worker: str, partitions: Sequence[TopicPartition]
) -> tuple[str, ...]:
    """Abort the open transactions of those who had *partitions* last and are not in the group.

    Where that cannot be done the takeover waits until the broker aborts them.

    Args:
        stage: Whose partitions they are.
        brokers: Where they are.
        worker: Whoever takes them over; it has fenced its own former self.
        partitions: Of the stage's input.

    Returns:
        The names of the workers that were fenced.
    """
    fenced = []
    try:
        for name in sorted(_owners(stage, brokers, partitions) - {worker}):
            if name in _alive(stage, brokers):
                continue
            producer = kafka.transactional_producer(brokers, transactional_id(stage, name))
            producer.init_transactions(PATIENCE)
            fenced.append(name)
    except (KafkaException, TimeoutError) as error:
        log.warning("cannot fence the owners before", stage=stage.name, error=str(error))
    return tuple(fenced)


def _owners(stage: Stage[Any, Any], brokers: str, partitions: Sequence[TopicPartition]) -> set[str]:
    """Who committed last; that of an open transaction is not seen, and not waited for.

    Raises:
        KafkaException: No broker answers.
    """
    reader = kafka.consumer(brokers, stage.group, isolation_level="read_uncommitted")
    try:
        asked = [TopicPartition(each.topic, each.partition) for each in partitions]
        return {owner(each.metadata) for each in reader.committed(asked, timeout=PATIENCE)} - {""}
    finally:
        reader.close()


def _alive(stage: Stage[Any, Any], brokers: str) -> set[str]:
    """The names of the group's members.

    Raises:
        KafkaException: No broker answers.
        TimeoutError: the same.
    """
    members = kafka.group(kafka.admin(brokers), stage.group, PATIENCE).members
    ids = (member.client_id.rpartition(kafka.BORN)[0] for member in members)
    return {each.removeprefix(f"{stage.name}-") for each in ids}
