"""See what becomes of a command."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace

from confluent_kafka import KafkaException

from schemas.alarm import Alarm
from schemas.alarm import Answer as Asked
from schemas.codec import Codec
from schemas.command import Command, CommandKind
from schemas.errors import RegistryUnavailable
from schemas.journal import JournalRecord
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Phase
from schemas.scope import ALL, partition_of
from schemas.topics import COMMANDS, DEPLOYMENTS, journal
from streams import kafka
from streams.reading import Seen, Unreachable, Watch
from streams.sending import send
from streams.settings import Settings

ENDS = {  # the actuator tells what it made of them, as it does of SET
    CommandKind.ROLLBACK: (Phase.ROLLED_BACK,),
    CommandKind.ABORT: (Phase.ROLLED_BACK,),
    CommandKind.REJECT: (Phase.ROLLED_BACK,),
    CommandKind.PROMOTE: (Phase.PROMOTED,),
    CommandKind.APPROVE: (Phase.PENDING, Phase.RAMPING, Phase.PROMOTED, Phase.VERIFIED),
}
JOURNAL = journal("actuate")
GROUP = "llmopt.actuate"
LOOK = 2.0  # seconds without an answer after which to look whether anybody could give one
BEFORE = 2_048  # offsets of a journal's partition that cannot be written while one command is sent
BESIDE = 0.5  # seconds without news after which all that was told of a command has been read
TROUBLE = (KafkaException, Unreachable, RegistryUnavailable)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the actuator made of a command; `event` None: no word of it in time.

    `obeyed`: every task that the command concerns has committed what it made of it. `running`:
    some worker ran the actuator when it was last looked at.
    """

    command: Command
    event: Deployment | None
    obeyed: bool = False
    running: bool = True
    report: RollbackReport | None = None  # of a dry run
    alarm: Alarm | None = None  # whose question it answered

    @property
    def refusal(self) -> str | None:
        """The sentence with which it said no; None where it did not."""
        if self.event is not None and self.event.phase is Phase.REJECTED:
            return self.event.reason
        return self.report.reason if self.report is not None and self.report.refused else None


class Unseen(Exception):
    """A command is sent, but what became of it could not be looked at; the cause says why."""


def hear(settings: Settings, codec: Codec, command: Command, offset: int, timeout: float) -> Answer:
    """Wait until every task that a hold concerns has obeyed it, or until nobody is there to.

    Args:
        settings: Where the brokers are.
        codec: Reads the journal.
        command: One of HOLDS, which has been sent.
        offset: Of the command on its topic.
        timeout: Seconds to wait.

    Raises:
        Unseen: What became of it cannot be seen.
    """
    try:
        with closing(Watch(settings, codec, [JOURNAL], back=BEFORE)) as watch:
            wanted = obeyed(command, offset, watch.width(JOURNAL))
            seen, alive = _wait(settings, watch, wanted, timeout)
    except TROUBLE as error:
        raise Unseen from error
    return Answer(command, None, obeyed=seen is not None, running=alive)


def ask(settings: Settings, codec: Codec, command: Command, timeout: float) -> Answer:
    """Send *command* and wait for its effect or its refusal, or until nobody is there to obey.

    Args:
        settings: Where the brokers are.
        codec: Reads the answer.
        command: SET or one of ENDS.
        timeout: Seconds to wait.

    Raises:
        Unseen: It is sent, but what became of it cannot be seen.
        KafkaException: No broker answers; it is not sent.
        Unreachable: A topic is missing; it is not sent.
        RegistryUnavailable: The schema registry does not answer; it is not sent.
    """
    with closing(Watch(settings, codec, [DEPLOYMENTS])) as watch:
        send(settings.bootstrap_servers, command)
        try:
            seen, alive = _wait(settings, watch, answers(command), timeout)
        except TROUBLE as error:
            raise Unseen from error
    told = None if seen is None else seen.value
    event = told if isinstance(told, Deployment) else None
    report = told if isinstance(told, RollbackReport) else None
    alarm = told if isinstance(told, Alarm) else None
    heard = seen is not None
    return Answer(command, event, obeyed=heard, running=alive, report=report, alarm=alarm)


def ask_all(
    settings: Settings, codec: Codec, command: Command, timeout: float
) -> tuple[Answer, list[Deployment | RollbackReport]]:
    """Send a ROLLBACK of all scopes, and gather what comes of it until every task has obeyed.

    A scope in which there is nothing to take back stays silent.

    Args:
        settings: Where the brokers are.
        codec: Reads the answers.
        command: ROLLBACK for `*`.
        timeout: Seconds to wait.

    Returns:
        Whether all have obeyed, and the end of each rollout or config; of a dry run its reports.

    Raises:
        Unseen: as `ask`, and the others, too.
    """
    told: list[Deployment | RollbackReport] = []

    def gather(seen: Seen) -> bool:
        if answers(replace(command, scope=seen.key))(seen):
            told.append(seen.value)
        return False

    with (
        closing(Watch(settings, codec, [DEPLOYMENTS])) as events,
        closing(Watch(settings, codec, [JOURNAL])) as watch,
    ):
        offset = send(settings.bootstrap_servers, command)
        try:
            wanted = obeyed(command, offset, watch.width(JOURNAL))
            seen, alive = _wait(settings, watch, wanted, timeout)
            before = -1
            while before < len(told):
                before = len(told)
                events.until(gather, BESIDE)
        except TROUBLE as error:
            raise Unseen from error
    return Answer(command, None, obeyed=seen is not None, running=alive), told


def _wait(
    settings: Settings, watch: Watch, wanted: Callable[[Seen], bool], timeout: float
) -> tuple[Seen | None, bool]:
    """What is *wanted*, None after *timeout* seconds; and False if nobody is there to obey."""
    deadline = time.monotonic() + timeout
    while True:
        seen = watch.until(wanted, min(LOOK, deadline - time.monotonic()))
        alive = seen is not None or running(settings)
        if seen is not None or not alive or time.monotonic() >= deadline:
            return seen, alive


def running(settings: Settings) -> bool:
    """Whether any worker runs the actuator, as its group knows.

    Raises:
        KafkaException: No broker answers.
    """
    admin = kafka.admin(settings.bootstrap_servers)
    return bool(kafka.group(admin, GROUP).members)


def obeyed(command: Command, offset: int, width: int) -> Callable[[Seen], bool]:
    """Whether, with this record, all tasks that *command* concerns have committed it.

    A hold in a scope without a rollout has no event, but each task tells the commands that it
    has read in its journal, in the transaction of their effects.

    Args:
        command: For a scope, which one task has, or for `*`, which all have.
        offset: Of the command on its topic.
        width: How many tasks there are.
    """
    left = set(range(width)) if command.scope == ALL else {partition_of(command.scope, width)}

    def told(seen: Seen) -> bool:
        line = seen.value
        if isinstance(line, JournalRecord) and any(
            each.topic == COMMANDS.name and each.start <= offset < each.end for each in line.ranges
        ):
            left.discard(line.partition)
        return not left

    return told


def answers(command: Command) -> Callable[[Seen], bool]:
    """Whether a record tells what became of *command*.

    A change made by hand, a refusal, and the report of a dry run carry an id made of the command's,
    the end of a question the id that the command names.
    A rollout that the command ended keeps its own id; its last event names who ended it, which a
    dry run never did. That is all that becomes of a SET to what is stable already.
    """
    from processors.actuate.decision import name  # noqa: PLC0415  # costs a second, a stop has none

    own = name("m", command.scope, command.id)

    def told(seen: Seen) -> bool:
        event = seen.value
        if isinstance(event, RollbackReport):
            return event.simulated and event.id == own
        if isinstance(event, Alarm):
            return event.id == command.rollout_id and event.answer is not Asked.ASKED
        if not isinstance(event, Deployment) or event.scope != command.scope:
            return False
        ends = () if command.dry_run else ENDS.get(command.kind, ())
        if command.config is not None and event.stable_version == command.config.version:
            ends = (Phase.ROLLED_BACK,)
        return event.id == own or (event.phase in ends and event.by == command.by)

    return told


def held(commands: Iterable[Command]) -> dict[str, Command]:
    """The scopes (`*` for all) that are paused or stopped, with the command that did it.

    The same rules as the actuator's: RESUME for `*` lifts every hold, PAUSE does not weaken STOP.
    """
    holds: dict[str, Command] = {}
    for command in commands:
        scope = command.scope
        if command.kind is CommandKind.RESUME:
            if scope == ALL:
                holds.clear()
            holds.pop(scope, None)
        elif command.kind is CommandKind.STOP or (
            command.kind is CommandKind.PAUSE
            and (scope not in holds or holds[scope].kind is CommandKind.PAUSE)
        ):
            holds[scope] = command
    return dict(sorted(holds.items()))
