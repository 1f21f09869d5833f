"""Run recorded commits again and compare: the same input must give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import Consumer

from schemas.catalog import Catalog
from schemas.flow import Input, Moment
from schemas.journal import JournalRecord, Range
from schemas.topics import COMMANDS, TOPICS, journal
from streams import kafka
from streams.exactly_once.begin import Asked, begin, earliest, following
from streams.exactly_once.catalogs import Catalogs
from streams.exactly_once.compare import compare
from streams.exactly_once.errors import OutOfStep
from streams.exactly_once.journal import records
from streams.exactly_once.recording import Diverged, Finding, Incomparable, Recording
from streams.exactly_once.stage import Read, Stage
from streams.exactly_once.takeover import absorb, tails
from streams.exactly_once.tape import Tapes, held
from streams.exactly_once.task import Task
from streams.exactly_once.whole import Refused, Told, beside, put_aside


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay of one stage has found."""

    stage: str
    finding: Finding = Finding.IDENTICAL
    partitions: int = 0
    commits: int = 0  # compared
    skipped: int = 0  # before `since`: run again for their state, not compared
    events: int = 0  # records read
    outputs: int = 0  # records compared
    first: int | None = None  # ms, the clock of the first commit that was compared
    last: int | None = None  # ms, and of the last one
    why: tuple[str, ...] = ()  # it is not identical
    missing: tuple[Range, ...] = ()  # what would have been needed
    earliest: int | None = None  # ms, from which on it can be compared, where it cannot


@dataclass(slots=True)
class Course:
    """How far the replay of a partition has come."""

    commits: int = 0
    skipped: int = 0
    events: int = 0
    outputs: int = 0
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """The topics that every task reads whole."""

    catalogs: Catalogs
    told: Told
    commands_from: int  # the first command that is still there
    refused: Sequence[Refused]  # what nobody could use


def replay(
    stage: Stage[Any, Any],
    recording: Recording,
    *,
    since: int | None = None,
    until: int | None = None,
    progress: Callable[[int], None] | None = None,
) -> Replayed:
    """Run the journalled commits of *stage* again.

    Commits before *since* (ms since the epoch, the worker's clock) rebuild the state and are not
    compared; the replay ends with the last commit before *until*, or at the first difference. A
    partition that cannot be compared does not keep the others from it.

    Raises:
        Retake: the broker did not answer in time.
        KafkaException: it refuses.
    """
    told = Told(recording.codec)
    commands_from = 0
    if stage.commands:
        told.take(recording.all_of(COMMANDS.name))
        commands_from, _ = recording.ends(COMMANDS.name)
    catalogs = Catalogs(recording)
    known = Known(catalogs, told, commands_from, (*catalogs.refused, *told.refused))
    found = Replayed(stage=stage.name)
    unreachable: list[Asked] = []
    for partition in range(recording.partitions[journal(stage.name).name]):
        asked = Asked(stage, recording, partition, since, until)
        course = Course()
        failure: Diverged | Incomparable | None = None
        try:
            _partition(asked, known, course, progress)
        except (Diverged, Incomparable) as error:
            failure = error
        found = _with(found, course, failure)
        if isinstance(failure, Diverged):
            return replace(found, finding=Finding.DIFFERENT, why=(str(failure),))
        if failure is not None:
            unreachable.append(asked)
    if unreachable:
        return replace(found, earliest=_all_from(unreachable))
    if not found.commits:
        none = f"{stage.name} has no commit in this range"
        return replace(found, finding=Finding.INCOMPARABLE, why=(none,))
    return found


def widths(brokers: str) -> dict[str, int]:
    """How many partitions each topic of the contract has on the cluster."""
    there = kafka.admin(brokers).list_topics(timeout=10).topics
    return {name: len(there[name].partitions) for name in TOPICS if name in there}


def _with(found: Replayed, course: Course, failure: Exception | None) -> Replayed:
    """What is found once a partition's *course* has come to its end."""
    if isinstance(failure, Incomparable):
        found = replace(
            found,
            finding=Finding.INCOMPARABLE,
            why=(*found.why, str(failure)),
            missing=(*found.missing, *failure.missing),
        )
    firsts = [each for each in (found.first, course.first) if each is not None]
    lasts = [each for each in (found.last, course.last) if each is not None]
    return replace(
        found,
        partitions=found.partitions + 1,
        commits=found.commits + course.commits,
        skipped=found.skipped + course.skipped,
        events=found.events + course.events,
        outputs=found.outputs + course.outputs,
        first=min(firsts, default=None),
        last=max(lasts, default=None),
    )


def _all_from(unreachable: Sequence[Asked]) -> int | None:
    """From when on all of them can be compared; None: from no time of the range."""
    times = [earliest(each) for each in unreachable]
    known = [each for each in times if each is not None]
    until = unreachable[0].until
    if len(known) < len(times) or (until is not None and max(known) >= until):
        return None
    return max(known)


def _partition(
    asked: Asked, known: Known, course: Course, progress: Callable[[int], None] | None
) -> None:
    """Run the commits of one partition.

    Raises:
        Diverged: a commit wrote or decided something else than was recorded.
        Incomparable: that cannot be said.
    """
    start = begin(asked)
    if start is None:
        return
    stage, recording = asked.stage, asked.recording
    task, tapes = start.task, Tapes(recording)
    policy: tuple[Catalog, Any] | None = None
    lost: Incomparable | None = None
    began = False
    try:
        for line in following(asked, start):
            if asked.until is not None and line.now >= asked.until:
                break
            catalog = known.catalogs.at(line.catalog)
            if policy is None or policy[0] is not catalog:
                policy = (catalog, stage.policy(catalog))
            moment = _moment(line, recording.partitions[stage.reads[0].name])
            if not began:
                began, lost = True, _absorb(asked, task, policy[1], moment)
            got = _inputs(asked, known, tapes, line, moment)
            outcome = stage.step(policy[1], task.state, got.inputs, moment)
            written = records(stage.name, asked.partition, outcome, got.dead, recording.codec)
            if asked.since is None or line.now >= asked.since:
                try:
                    compare(recording, line, written)
                except Diverged as error:
                    if lost is None:
                        raise
                    raise Incomparable(f"{lost}; without it, {error}", lost.missing) from error
                course.first = line.now if course.first is None else min(course.first, line.now)
                course.last = line.now if course.last is None else max(course.last, line.now)
                course.commits += 1
                course.outputs += len(written)
            else:
                course.skipped += 1
            task.state = outcome.state
            course.events += sum(r.end - r.start for r in line.ranges)
            if progress is not None:
                progress(1)
    finally:
        tapes.close()


def _moment(line: JournalRecord, partitions: int) -> Moment:
    return Moment(
        now=line.now,
        seed=line.seed,
        epoch=line.epoch,
        partition=line.partition,
        partitions=partitions,
    )


def _absorb(asked: Asked, task: Task, policy: Any, moment: Moment) -> Incomparable | None:
    """Complete the state of *task* from the tail of its input.

    Returns:
        What of the tail is not there any more. What is compared then may differ for that alone;
        where it does not, it is identical all the same.
    """
    if not task.tail:
        return None
    reader: Consumer = asked.recording.reader()
    try:
        there = tails(asked.stage, reader, task)
        task.state = absorb(
            asked.stage, asked.recording.codec, policy, reader, task, moment.partitions, moment.now
        )
    except OutOfStep as error:
        raise Incomparable(str(error)) from error
    finally:
        reader.close()
    for (topic, partition), (low, end) in there.items():
        start = task.tail[topic]
        try:
            if start < end:
                held(Range(topic=topic, partition=partition, start=start, end=end), low, end)
        except Incomparable as error:
            return error
    return None


def _inputs(asked: Asked, known: Known, tapes: Tapes, line: JournalRecord, moment: Moment) -> Read:
    """What the commit's step was given.

    Raises:
        Incomparable: some of it is not there any more.
    """
    commands: list[Input] = []
    for stretch in line.ranges:
        if stretch.topic == COMMANDS.name:
            held(stretch, known.commands_from, stretch.end)
            commands = known.told.since(stretch.start, stretch.end)
    messages = tapes.take(line.ranges)
    got = asked.stage.decode(asked.recording.codec, messages, moment)
    starts = {stretch.topic: stretch.start for stretch in line.ranges}
    ends = {stretch.topic: stretch.end for stretch in line.ranges}
    refused = put_aside(asked.stage, asked.partition, known.refused, starts, ends)
    return beside(got, commands, refused, moment)
