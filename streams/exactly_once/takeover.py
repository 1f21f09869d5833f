"""Take over partitions: offsets first, then state, then the check that they agree."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.flow import Moment
from schemas.journal import Position
from schemas.topics import COMMANDS
from streams import kafka
from streams.exactly_once.changelog import Kept, restore
from streams.exactly_once.errors import OutOfStep, Retake
from streams.exactly_once.reading import end_of, runs
from streams.exactly_once.stage import Stage
from streams.exactly_once.task import Task


@contextlib.contextmanager
def readers(brokers: str, name: str) -> Iterator[tuple[Consumer, Consumer]]:
    """Two consumers without a group: one sees committed records only, the other all."""
    pair = (
        kafka.consumer(brokers, name, enable_partition_eof=True, queued_min_messages=20_000),
        kafka.consumer(brokers, name, isolation_level="read_uncommitted"),
    )
    try:
        yield pair
    finally:
        for each in pair:
            each.close()


def seed_of(stage: str, partition: int, sequence: int) -> int:
    """The seed of a commit: the same in every run of it."""
    return zlib.crc32(f"{stage}:{partition}:{sequence}".encode())


def take_over(
    stage: Stage[Any, Any],
    codec: Codec,
    policy: Any,
    brokers: str,
    committed: list[TopicPartition],
    partitions: int,
    now: int,
) -> dict[int, Task]:
    """The tasks whose input partitions are *committed* (with the group's offsets).

    The offsets must have been fetched read_committed: that waits for a dead owner's open
    transaction. What it wrote is then in the changelog for good, or not at all.

    Raises:
        OutOfStep: the group's offset is not what the state's last commit says.
        Retake: the broker did not answer in time.
    """
    if not committed:
        return {}
    offsets: dict[int, dict[str, int]] = {}
    for each in committed:
        offsets.setdefault(each.partition, {})[each.topic] = each.offset
    with readers(brokers, f"{stage.group}.takeover") as (stable, any_):
        try:
            found = restore(stage, codec, stable, any_, sorted(offsets))
            tasks = {}
            for partition, kept in sorted(found.items()):
                starts = _starts(stage, any_, partition, offsets[partition], kept.position)
                task = _task(stage, partition, kept, starts)
                if kept.position is not None:
                    task.state = absorb(stage, codec, policy, stable, task, partitions, now)
                tasks[partition] = task
        except KafkaException as error:
            raise Retake(f"taking over {stage.name}: {error}") from error
    return tasks


def _starts(
    stage: Stage[Any, Any],
    reader: Consumer,
    partition: int,
    offsets: dict[str, int],
    position: Position | None,
) -> dict[str, int]:
    """The next offset of each input topic, once group, state and log are seen to agree."""
    starts = {}
    for topic, offset in offsets.items():
        low, high = end_of(reader, (topic, partition))
        stored = None if position is None else position.ends.get(topic)
        if offset < 0 and stored is None:
            starts[topic] = low
            continue
        if offset < 0 or stored != offset:
            said = "has no offset" if offset < 0 else f"is at offset {offset}"
            raise OutOfStep(
                f"group {stage.group} {said} of {topic}[{partition}], but its state was written "
                f"at {stored}; run `llmopt reset {stage.name}` to rewind both together"
            )
        if not low <= offset <= high:
            raise OutOfStep(
                f"{stage.group} must go on at offset {offset} of {topic}[{partition}], but the "
                f"topic holds {low} to {high}; run `llmopt reset {stage.name}` to start over"
            )
        starts[topic] = offset
    return starts


def _task(
    stage: Stage[Any, Any],
    partition: int,
    kept: Kept,
    starts: dict[str, int],
) -> Task:
    position = kept.position
    if position is None:
        if kept.entries:
            raise OutOfStep(
                f"{stage.name}[{partition}] has state but no position; "
                f"run `llmopt reset {stage.name}`"
            )
        ends = starts | ({COMMANDS.name: 0} if stage.commands else {})
        return Task(partition=partition, state=stage.fresh(), ends=ends, begins=kept.begins)
    return Task(
        partition=partition,
        state=stage.restore(kept.entries),
        ends=dict(position.ends) | starts,
        sequence=position.sequence,
        epoch=position.epoch + 1,
        written=position.epoch,
        tail=position.tail,
        watermark=position.watermark,
        begins=position.begins,
    )


def absorb(
    stage: Stage[Any, Any],
    codec: Codec,
    policy: Any,
    stable: Consumer,
    task: Task,
    partitions: int,
    now: int,
) -> Any:
    """The task's state with the tail of its input read again, as far as that is still there.

    Raises:
        OutOfStep: a message of the tail cannot be used any more.
        Retake: the broker did not answer in time.
        KafkaException: it refuses.
    """
    if stage.absorb is None:
        return task.state
    moment = Moment(
        now=now,
        seed=seed_of(stage.name, task.partition, task.sequence),
        epoch=task.epoch,
        partition=task.partition,
        partitions=partitions,
    )
    decode, state = stage.again or stage.decode, task.state
    for at, stretch in tails(stage, stable, task).items():
        for batch in _batches(runs(stable, {at: stretch}), stage.batch):
            try:
                state = stage.absorb(policy, state, decode(codec, batch, moment).inputs, moment)
            except ValueError as error:
                raise OutOfStep(
                    f"{stage.name}[{task.partition}] cannot have its state again: {error}; start "
                    f"the version that wrote it, or run `llmopt reset {stage.name}`"
                ) from error
    return state


def tails(
    stage: Stage[Any, Any], reader: Consumer, task: Task
) -> dict[tuple[str, int], tuple[int, int]]:
    """Of each input topic the offsets [start, end) that make up the state and are still there."""
    found = {}
    for topic in stage.reads:
        if topic.name in task.tail:
            at = (topic.name, task.partition)
            low, _ = end_of(reader, at)
            found[at] = (max(task.tail[topic.name], low), task.ends[topic.name])
    return found


def _batches(found: Iterable[list[Message]], size: int) -> Iterator[list[Message]]:
    """The messages in lists of *size*, however they came; the last may be shorter."""
    waiting: list[Message] = []
    for run in found:
        waiting += run
        while len(waiting) >= size:
            yield waiting[:size]
            del waiting[:size]
    if waiting:
        yield waiting
