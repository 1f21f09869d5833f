"""One membership of a group: from joining it to losing it. All state dies with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.topics import CATALOG, COMMANDS
from streams import kafka, metrics
from streams.clock import now_ms
from streams.exactly_once.ahead import Ahead
from streams.exactly_once.errors import Retake
from streams.exactly_once.fence import fence_the_dead, transactional_id
from streams.exactly_once.instep import InStep
from streams.exactly_once.lost import lost
from streams.exactly_once.mark import committed_offsets, still_valid
from streams.exactly_once.namesake import client_id, newer
from streams.exactly_once.queue import queue_of
from streams.exactly_once.split import At, sizes, split
from streams.exactly_once.stage import Stage
from streams.exactly_once.takeover import take_over
from streams.exactly_once.task import Task
from streams.exactly_once.whole import Declared, Entries, Refused, Told, Whole, put_aside
from streams.log import log
from streams.spool import Spool

if TYPE_CHECKING:
    from native.core import Queue

PATIENCE = 0.05  # seconds, of one call for records
HURRY = 0.02  # the same where a command may be obeyed, or messages wait that were held back


MOST = 5_000  # messages of one call
LARGEST = 16 << 20  # bytes of a round's messages: a columnar message holds hundreds of events
READ_AHEAD = 4_096  # KiB, of a stage that does not gather: windows, many and long at once
ATTENTION = 0.2  # seconds that the group may wait for a round


@dataclass(frozen=True, slots=True)
class Home:
    """Where a session works: the brokers, the worker's stable name, the topics' partitions."""

    brokers: str
    worker: str
    partitions: dict[str, int]
    session_timeout_ms: int = 6_000
    spool: Spool | None = None  # commands that were given on this machine alone
    born: int = field(default_factory=time.time_ns)  # when the worker was started


@dataclass(slots=True)
class Session:
    """A consumer in its group and the one transactional producer beside it."""

    stage: Stage[Any, Any]
    codec: Codec
    home: Home
    consumer: Consumer
    producer: Any
    catalog: Whole | None
    commands: Whole | None
    declared: Declared
    told: Told
    undelivered: list[KafkaError] = field(default_factory=list)
    tasks: dict[int, Task] = field(default_factory=dict)
    put_down: dict[int, Task] = field(default_factory=dict)  # until the group has met again
    rebalanced: bool = False
    made: tuple[Catalog, Any] | None = None  # the policy, and the catalog that it was made from
    failure: Exception | None = None  # raised in a callback of the consumer
    in_step: InStep | None = None
    queue: Queue | None = None  # which records come from, beside the consumer
    ahead: Ahead | None = None  # of a stage whose steps take their time
    paused: set[At] = field(default_factory=set)  # partitions that are not fetched for a while
    passed: dict[At, int] = field(default_factory=dict)  # offsets before which nothing is unread
    room: int = LARGEST  # bytes that the round in hand may still take
    mean: int = 1  # bytes of a message like the last ones
    early: list[Message] = field(default_factory=list)  # came while a round lasted, for the next
    asked_at: float = 0.0  # monotonic seconds when the group was last attended to

    @classmethod
    def join(cls, stage: Stage[Any, Any], codec: Codec, home: Home) -> Session:
        """Fence a former self, then join the group.

        Raises:
            Retake: the broker did not answer.
            StepFailed: it will never let this worker in.
        """
        opened: list[Whole] = []
        undelivered: list[KafkaError] = []
        try:
            producer = kafka.transactional_producer(
                home.brokers, transactional_id(stage, home.worker), undelivered
            )
            producer.init_transactions(30)
            for topic, wanted in ((CATALOG, stage.catalog), (COMMANDS, stage.commands)):
                if wanted:
                    opened.append(Whole.open(home.brokers, topic))
            consumer = kafka.consumer(
                home.brokers,
                stage.group,
                session_timeout_ms=home.session_timeout_ms,
                heartbeat_interval_ms=min(500, home.session_timeout_ms // 6),
                partition_assignment_strategy="range",
                queued_min_messages=100_000 if stage.interval else 10_000,
                queued_max_messages_kbytes=65_536 if stage.interval else READ_AHEAD,
                enable_partition_eof=True,
                client_id=client_id(stage, home.worker, home.born),
            )
        except KafkaException as error:
            for each in opened:
                each.close()
            raise lost(f"joining {stage.group}", error) from error
        by_topic = {each.topic.name: each for each in opened}
        session = cls(
            stage=stage,
            codec=codec,
            home=home,
            consumer=consumer,
            producer=producer,
            undelivered=undelivered,
            catalog=by_topic.get(CATALOG.name),
            commands=by_topic.get(COMMANDS.name),
            declared=Declared(Entries(codec)),
            told=Told(codec),
            in_step=InStep([topic.name for topic in stage.reads]) if stage.in_step else None,
            queue=queue_of(consumer) if stage.interval is not None else None,
            ahead=Ahead() if stage.interval is not None else None,
        )
        consumer.subscribe(
            [topic.name for topic in stage.reads],
            on_assign=session.assigned,
            on_revoke=session.revoked,
            on_lost=session.revoked,
        )
        return session

    def assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take the partitions over, or back; nothing is read before their state is there."""
        self.rebalanced = True
        had, self.put_down = self.put_down, {}
        if self.failure is not None or not partitions:
            return
        started = time.monotonic()
        try:
            fenced = fence_the_dead(self.stage, self.home.brokers, self.home.worker, partitions)
            committed = committed_offsets(consumer, partitions)
            kept = still_valid(had, committed, self.home.worker)
            self.catch_up()
            self.tasks |= kept
            self.tasks |= take_over(
                self.stage,
                self.codec,
                self.policy(),
                self.home.brokers,
                [each for each in committed if each.partition not in kept],
                self.width,
                now_ms(),
            )
            self.place()
        except KafkaException as error:
            self.failure = lost(f"taking over {self.stage.name}", error)
        except Exception as error:  # noqa: BLE001  # a callback must not raise into librdkafka
            self.failure = error
        else:
            metrics.observe("takeover_seconds", time.monotonic() - started, stage=self.stage.name)
            log.info(
                "took over",
                stage=self.stage.name,
                partitions=sorted({each.partition for each in partitions}),
                seconds=round(time.monotonic() - started, 3),
                kept=sorted(kept),
                fenced=fenced,
            )

    def revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Put the state down; whatever was not committed is read again by the next owner."""
        self.rebalanced = True
        for partition in {each.partition for each in partitions} & self.tasks.keys():
            self.put_down[partition] = self.tasks.pop(partition)

    @property
    def width(self) -> int:
        """How many partitions the stage's input has."""
        return self.home.partitions[self.stage.reads[0].name]

    def place(self) -> None:
        """Read on from where each task stands."""
        self.passed.clear()
        self.early.clear()
        if self.in_step is not None:
            self.pace(set())
            self.in_step.clear()
        places = [
            TopicPartition(topic.name, task.partition, task.ends[topic.name])
            for task in self.tasks.values()
            for topic in self.stage.reads
            if topic.name in task.ends
        ]
        if self.queue is not None:
            self.queue.lead([(each.topic, each.partition) for each in places])
        self.consumer.assign(places)

    def policy(self) -> Any:
        """The stage's policy under the catalog in force; made anew only when that changed."""
        catalog = self.declared.current
        if self.made is None or self.made[0] is not catalog:
            self.made = (catalog, self.stage.policy(catalog))
        return self.made[1]

    def catch_up(self) -> None:
        """Read the catalog and the commands to their ends."""
        if self.catalog is not None:
            self.declared.take(self.catalog.catch_up(), self.catalog.offset)
        if self.commands is not None:
            self.told.take(self.commands.catch_up())

    def glance(self) -> bool:
        """Take in what has arrived of them; if there is any, read on to their ends, and say so."""
        news = False
        if self.catalog is not None and (found := self.catalog.glance()):
            self.declared.take(found, self.catalog.offset)
            news = True
        if self.commands is not None and (found := self.commands.glance()):
            self.told.take(found)
            news = True
        if news:
            self.catch_up()
        return news

    def gather(self) -> list[Message]:
        """Messages for one round; a rebalance meanwhile begins it anew.

        Raises:
            Retake: the group or the broker is lost.
            OutOfStep: a takeover found state and offsets apart.
        """
        gathered = self.fetch()
        found = split(gathered).faults
        for index in found:
            self.look_at(gathered[index])
        if self.in_step is not None:
            ready = self.in_step.take(gathered, time.monotonic())
            self.pace(self.in_step.full)
            return ready
        for index in reversed(found):
            del gathered[index]
        return gathered

    def pace(self, full: set[At]) -> None:
        """Fetch no more of the partitions that are *full*, until they are not."""
        for change, places in (
            (self.consumer.pause, full - self.paused),
            (self.consumer.resume, self.paused - full),
        ):
            if places:
                change([TopicPartition(*each) for each in places])
        self.paused = set(full)

    def fetch(self) -> list[Message]:
        """What the consumer has for one round, ends and errors among it.

        Raises:
            Retake: as `gather`.
            OutOfStep: as `gather`.
        """
        gathered, self.early = self.early, []
        self.room, patience = LARGEST, self.stage.interval or 0.1
        if self.in_step is not None and self.in_step.more:  # as good as none of new ones
            self.room, patience = 1, HURRY
        deadline = time.monotonic() + patience
        try:
            while len(gathered) < self.stage.batch and self.room > 0:
                left = deadline - time.monotonic()
                if left <= 0 or (gathered and self.stage.interval is None):
                    break
                # A command does not wait for records; what else it concerns learns of it with
                # the next round, and does not commit while it is carried out.
                if self.stage.obeys and not gathered and self.glance():
                    break
                got = self.consume(min(left, HURRY if self.stage.obeys else PATIENCE))
                if self.failure is not None:
                    raise self.failure
                if self.rebalanced:
                    # What came around a rebalance may belong to either owner: read it again.
                    self.rebalanced = False
                    gathered.clear()
                    self.room = LARGEST
                    if self.tasks:
                        self.place()
                    continue
                gathered.extend(got)
                self.weigh(got)
        except KafkaException as error:
            raise lost(f"reading for {self.stage.name}", error) from error
        return gathered

    def attend(self) -> bool:
        """Let the group meet while a round lasts, in a stage that may have long ones.

        Returns:
            Whether it has met, so that the round in hand must not be committed: its tasks may be
            others', and those that stay are read again from where they stand.

        Raises:
            Retake: as `gather`.
            OutOfStep: as `gather`.
        """
        if self.ahead is not None or time.monotonic() - self.asked_at < ATTENTION:
            return False
        self.asked_at = time.monotonic()
        try:
            self.early += self.consumer.consume(max(1, self.stage.batch - len(self.early)), 0)
        except KafkaException as error:
            raise lost(f"reading for {self.stage.name}", error) from error
        if self.failure is not None:
            raise self.failure
        if self.rebalanced:
            self.early.clear()
        return self.rebalanced

    def weigh(self, got: Sequence[Message]) -> None:
        """Take note of how many bytes *got* has."""
        size = int(sizes(got).sum())
        self.room -= size
        if size:
            self.mean = max(1, size // len(got))

    def consume(self, patience: float) -> list[Message]:
        """What there is, within *patience* (seconds); the group's news are taken in, too.

        Raises:
            Retake: as `gather`.
        """
        most = min(MOST, self.stage.batch, max(1, self.room // self.mean))
        self.asked_at = time.monotonic()
        got: list[Message]
        if self.stage.interval is None:
            got = self.consumer.consume(1, timeout=patience)
            return got and got + self.consumer.consume(self.stage.batch, timeout=0)
        if self.queue is None:
            got = self.consumer.consume(most, timeout=patience)
            return got
        for each in self.consumer.consume(most, timeout=0):
            if each.error() is None:
                raise Retake(f"a record of {each.topic()} came past the queue")
            self.look_at(each)
        got = self.queue.consume(most, patience)
        return got

    def look_at(self, fault: Message) -> None:
        """Note the end of a partition; other errors pass by themselves, or end the session.

        The end may lie behind the last record: markers of transactions are never delivered.

        Raises:
            Retake: it is an error that will not pass.
            StepFailed: nor will it after a takeover.
        """
        error = fault.error()
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
            self.passed[fault.topic(), fault.partition()] = fault.offset()
        elif not (error.retriable() or error.code() in kafka.PASSING):
            raise lost(f"reading for {self.stage.name}", KafkaException(error))

    def ends(self, task: Task) -> dict[str, int]:
        """Where *task* stands, behind the markers that follow its last records."""
        held = self.in_step.held if self.in_step is not None else {}
        return task.ends | {
            topic: max(task.ends[topic], offset)
            for (topic, partition), offset in self.passed.items()
            if partition == task.partition and (topic, partition) not in held
        }

    def newer_namesake(self) -> bool:
        """Whether a worker of this name that was started later is alive, as far as one can tell."""
        home = self.home
        return newer(home.brokers, self.stage.group, client_id(self.stage, home.worker, home.born))

    def refused(self, task: Task) -> list[Refused]:
        """Unusable records of the catalog and the commands that *task* must put aside."""
        refused = (*self.declared.refused, *self.told.refused)
        return put_aside(self.stage, task.partition, refused, task.ends)

    def leave(self) -> None:
        """Leave the group; an open transaction is aborted by the next owner's start, or in time."""
        if self.ahead is not None:
            self.ahead.close()
        if self.queue is not None:
            self.queue.close()
        self.consumer.close()
        for each in (self.catalog, self.commands):
            if each is not None:
                each.close()
