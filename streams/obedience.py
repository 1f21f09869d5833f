"""Which tasks of the actuator have committed what they made of a command."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass

from schemas.codec import Codec, unpack
from schemas.command import Command
from schemas.journal import ChangelogEntry, Position
from schemas.scope import ALL, partition_of
from schemas.topics import COMMANDS, changelog
from streams import kafka
from streams.exactly_once.changelog import POSITION
from streams.exactly_once.reading import read
from streams.reading import Seen, consumer, ends
from streams.settings import Settings

STAGE = "actuate"
STRETCH = 64  # offsets from the end of a changelog in which its position is looked for first


@dataclass(frozen=True, slots=True, kw_only=True)
class Obedience:
    """One task of the actuator, and whether it has committed a command."""

    partition: int
    worker: str | None  # that has the task; None: nobody
    obeyed: bool


def obedience(
    held: Mapping[str, Command],
    told: Iterable[Seen],
    positions: Mapping[int, Position | None],
    workers: Mapping[int, str],
) -> dict[str, tuple[Obedience, ...]]:
    """Of each hold, the tasks that it concerns.

    Args:
        held: The holds by scope.
        told: The commands' topic, with offsets.
        positions: Where each task stands; None where one has never committed.
        workers: Who has each task.
    """
    offsets: dict[str, int] = {}
    for seen in told:
        if isinstance(seen.value, Command):
            offsets.setdefault(seen.value.id, seen.offset)
    return {
        scope: tuple(
            Obedience(
                partition=partition,
                worker=workers.get(partition),
                obeyed=_next(positions[partition]) > offsets[command.id],
            )
            for partition in sorted(positions)
            if scope == ALL or partition == partition_of(scope, len(positions))
        )
        for scope, command in held.items()
    }


def _next(position: Position | None) -> int:
    """The first command that a task has not committed."""
    return 0 if position is None else position.ends.get(COMMANDS.name, 0)


def positions(settings: Settings, codec: Codec) -> dict[int, Position | None]:
    """Where each task of the actuator stands, as its last commit says; None: it has none.

    Each commit writes it last, so it is looked for at the end of the changelog, further back only
    if it is not there.

    Raises:
        Unreachable: The changelog is missing.
        KafkaException: No broker answers.
        RegistryUnavailable: The schema registry does not answer.
    """
    topic = changelog(STAGE)
    found: dict[int, Position | None] = {}
    with closing(consumer(settings)) as reader:
        for (name, partition), (low, high) in ends(reader, [topic]).items():
            stretch, start, found[partition] = STRETCH, high, None
            while found[partition] is None and start > low:
                start, end = max(low, high - stretch), start
                stretch *= 8
                for message in read(reader, {(name, partition): (start, end)}):
                    if message.key() == POSITION.encode() and message.value() is not None:
                        entry: ChangelogEntry = codec.decode(topic, message.value())
                        found[partition] = unpack(Position, entry.payload)
    return found


def owners(settings: Settings) -> dict[int, str]:
    """Which worker has each task, as the actuator's group knows.

    Raises:
        KafkaException: No broker answers.
    """
    members = kafka.group(kafka.admin(settings.bootstrap_servers), f"llmopt.{STAGE}").members
    return {
        at.partition: member.client_id.rpartition(kafka.BORN)[0].removeprefix(f"{STAGE}-")
        for member in members
        for at in member.assignment.topic_partitions
    }
