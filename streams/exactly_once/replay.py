"""Run recorded commits again and compare: the same input must give the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from schemas.catalog import Catalog, Entry
from schemas.declare import gather
from schemas.errors import InvalidCatalog, Undecodable
from schemas.flow import Input, Moment
from schemas.journal import JournalRecord, Range
from schemas.topics import CATALOG, COMMANDS, TOPICS, journal
from streams import kafka
from streams.exactly_once.compare import compare
from streams.exactly_once.decode import dead_letter
from streams.exactly_once.journal import records
from streams.exactly_once.reading import At, end_of, read
from streams.exactly_once.recording import Diverged, Recording
from streams.exactly_once.stage import Read, Stage
from streams.exactly_once.whole import WHOLE, Declared, Told, put_aside


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay of one stage covered."""

    stage: str
    partitions: int
    commits: int  # compared
    skipped: int  # before `since`: run again for their state, not compared
    events: int  # records read
    outputs: int  # records compared


class Catalogs:
    """The catalog at any offset of its topic, as the workers saw it then."""

    def __init__(self, recording: Recording) -> None:
        self.override = dict(recording.override)
        self.versions: list[tuple[int, dict[str, Entry]]] = []
        entries: dict[str, Entry] = {}
        for message in recording.all_of(CATALOG.name):
            key = (message.key() or b"").decode(errors="replace")
            if message.value() is None:
                entries.pop(key, None)
            else:
                try:
                    value = recording.codec.decode(CATALOG, message.value(), key=key)
                    gather(entries | {key: value}, message.offset() + 1)
                except (Undecodable, InvalidCatalog):
                    continue  # the workers refused it too
                entries[key] = value
            self.versions.append((message.offset(), dict(entries)))
        self.made: dict[int, Catalog] = {}

    def at(self, offset: int) -> Catalog:
        """The catalog of the entries before *offset*, with the override on top."""
        if offset not in self.made:
            known: dict[str, Entry] = {}
            for position, entries in self.versions:
                if position >= offset:
                    break
                known = entries
            self.made[offset] = gather(known | self.override, offset)
        return self.made[offset]


class Tape:
    """One input partition, read forwards once."""

    def __init__(self, recording: Recording, at: At) -> None:
        self.reader = recording.reader()
        low, high = end_of(self.reader, at)
        self.low = low
        self.messages = read(self.reader, {at: (low, high)})
        self.ahead: Message | None = None

    def take(self, stretch: Range) -> list[Message]:
        """The records of *stretch*.

        Raises:
            Diverged: retention has already deleted some of them.
        """
        if stretch.start < self.low:
            raise Diverged(
                f"{stretch.topic}[{stretch.partition}] begins at offset {self.low}, but the "
                f"journal read it from {stretch.start}: retention has deleted the input"
            )
        found = []
        while (message := self.ahead or next(self.messages, None)) is not None:
            self.ahead = None
            if message.offset() >= stretch.end:
                self.ahead = message
                break
            if message.offset() >= stretch.start:
                found.append(message)
        return found

    def close(self) -> None:
        """Let the connection go."""
        self.messages.close()  # first, for its end still speaks to the reader
        self.reader.close()


def replay(
    stage: Stage[Any, Any],
    recording: Recording,
    *,
    since: int | None = None,
    until: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Run the journalled commits of *stage* again, from its beginning.

    Commits before *since* (ms since the epoch, the worker's clock) rebuild the state and are not
    compared; the replay ends with the last commit before *until*.

    Raises:
        Diverged: a commit read, wrote or decided something else than was recorded.
    """
    catalogs = Catalogs(recording)
    told = Told(recording.codec)
    if stage.commands:
        told.take(recording.all_of(COMMANDS.name))
    if CATALOG in stage.puts_aside:
        declared = Declared(recording.codec)
        declared.take(recording.all_of(CATALOG.name), 0)
        told.refused += declared.refused
    totals = Replayed(stage.name, 0, 0, 0, 0, 0)
    for partition in range(recording.partitions[journal(stage.name).name]):
        part = _partition(stage, recording, catalogs, told, partition, since, until, progress)
        totals = Replayed(
            stage.name,
            totals.partitions + 1,
            *(getattr(totals, n) + getattr(part, n) for n in COUNTED),
        )
    return totals


def widths(brokers: str) -> dict[str, int]:
    """How many partitions each topic of the contract has on the cluster."""
    there = kafka.admin(brokers).list_topics(timeout=10).topics
    return {name: len(there[name].partitions) for name in TOPICS if name in there}


COUNTED = ("commits", "skipped", "events", "outputs")


def _partition(
    stage: Stage[Any, Any],
    recording: Recording,
    catalogs: Catalogs,
    told: Told,
    partition: int,
    since: int | None,
    until: int | None,
    progress: Callable[[int], None] | None,
) -> Replayed:
    lines = [
        recording.codec.decode(journal(stage.name), message.value())
        for message in recording.all_of(journal(stage.name).name, partition)
    ]
    tapes: dict[str, Tape] = {}
    state, commits, skipped, events, outputs = stage.fresh(), 0, 0, 0, 0
    policy: tuple[Catalog, Any] | None = None
    try:
        for index, line in enumerate(lines, start=1):
            if until is not None and line.now >= until:
                break
            if line.sequence != index:
                raise Diverged(
                    f"the journal of {stage.name}[{partition}] goes from commit {index - 1} to "
                    f"{line.sequence}: retention or a reset has cut it"
                )
            catalog = catalogs.at(line.catalog)
            if policy is None or policy[0] is not catalog:
                policy = (catalog, stage.policy(catalog))
            moment = _moment(line, recording.partitions[stage.reads[0].name])
            got = _inputs(stage, recording, tapes, told, line, moment)
            outcome = stage.step(policy[1], state, got.inputs, moment)
            written = records(stage.name, partition, outcome, got.dead, recording.codec)
            if since is None or line.now >= since:
                compare(recording, line, written)
                commits, outputs = commits + 1, outputs + len(written)
            else:
                skipped += 1
            state, events = outcome.state, events + sum(r.end - r.start for r in line.ranges)
            if progress is not None:
                progress(1)
    finally:
        for tape in tapes.values():
            tape.close()
    return Replayed(stage.name, 1, commits, skipped, events, outputs)


def _moment(line: JournalRecord, partitions: int) -> Moment:
    return Moment(
        now=line.now,
        seed=line.seed,
        epoch=line.epoch,
        partition=line.partition,
        partitions=partitions,
    )


def _inputs(
    stage: Stage[Any, Any],
    recording: Recording,
    tapes: dict[str, Tape],
    told: Told,
    line: JournalRecord,
    moment: Moment,
) -> Read:
    commands: list[Input] = []
    messages: list[Message] = []
    for stretch in line.ranges:
        if stretch.topic == COMMANDS.name:
            commands = told.since(stretch.start, stretch.end)
        if stretch.topic in WHOLE:
            continue
        if stretch.topic not in tapes:
            tapes[stretch.topic] = Tape(recording, (stretch.topic, stretch.partition))
        messages += tapes[stretch.topic].take(stretch)
    got = stage.decode(recording.codec, messages, moment)
    starts = {stretch.topic: stretch.start for stretch in line.ranges}
    ends = {stretch.topic: stretch.end for stretch in line.ranges}
    refused = put_aside(stage, line.partition, told.refused, starts, ends)
    if not (commands or refused):
        return got
    dead = (dead_letter(each.message, each.why, moment) for each in refused)
    return Read([*commands, *got.inputs], (*dead, *got.dead))
