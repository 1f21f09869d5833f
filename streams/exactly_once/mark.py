"""What is committed beside an offset: whose commit it was, and which.

A worker that gets partitions back after the group has met again need not restore their state: where
the last commit was its own, and the one that its state is of, nobody has had them meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from confluent_kafka import Consumer, KafkaException, TopicPartition

from streams.exactly_once.task import Task

BETWEEN = "#"  # the name of the worker and the number of its commit


def mark(worker: str, epoch: int, sequence: int) -> str:
    """What commit *sequence* of a task, in *epoch*, is marked with."""
    return f"{worker}{BETWEEN}{epoch}.{sequence}"


def owner(marked: str | None) -> str:
    """The name of the worker whose commit it was; empty if there is none."""
    return (marked or "").rpartition(BETWEEN)[0]


def still_valid(
    tasks: Mapping[int, Task], committed: Sequence[TopicPartition], worker: str
) -> dict[int, Task]:
    """Those of *tasks* whose last commit is the group's last one, in an epoch of their own.

    Args:
        tasks: As *worker* had them when the group met, by partition.
        committed: The group's offsets, no transaction open on them.
        worker: Its name.
    """
    places: dict[int, list[TopicPartition]] = {}
    for each in committed:
        places.setdefault(each.partition, []).append(each)
    return {
        partition: replace(task, epoch=task.epoch + 1)
        for partition, task in sorted(tasks.items())
        if places.get(partition)
        and all(
            each.metadata == mark(worker, task.written, task.sequence)
            and each.offset == task.ends[each.topic]
            for each in places[partition]
        )
    }


def committed_offsets(consumer: Consumer, partitions: list[TopicPartition]) -> list[TopicPartition]:
    """The group's offsets; a dead owner's open transaction is waited for.

    Raises:
        KafkaException: they could not be had.
    """
    found: list[TopicPartition] = consumer.committed(partitions, timeout=30)
    for each in found:
        if each.error is not None:
            raise KafkaException(each.error)
    return found
