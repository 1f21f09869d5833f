"""Give a command and see what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException

from processors.actuate.decision import name
from schemas.codec import Codec
from schemas.command import Command, CommandKind
from schemas.rollout import Deployment, Phase
from schemas.scope import ALL
from schemas.topics import COMMANDS, DEPLOYMENTS
from streams import kafka
from streams.reading import Seen, Watch
from streams.settings import Settings

ANSWERED = (CommandKind.SET, CommandKind.ROLLBACK)  # the actuator tells what it made of them


@dataclass(frozen=True, slots=True)
class Answer:
    """What the actuator made of a command; `event` None: no word of it in time."""

    command: Command
    event: Deployment | None

    @property
    def refused(self) -> bool:
        """Whether it said no."""
        return self.event is not None and self.event.phase is Phase.REJECTED


def send(settings: Settings, codec: Codec, command: Command) -> None:
    """Put *command* on its topic; it is there for good when this returns.

    Raises:
        KafkaException: No broker took it.
    """
    failures: list[KafkaError] = []

    def written(error: KafkaError | None, _: object) -> None:
        if error is not None:
            failures.append(error)

    producer = kafka.producer(settings.bootstrap_servers, message_timeout_ms=10_000)
    value = codec.encode(COMMANDS, command)
    producer.produce(COMMANDS.name, key=command.scope, value=value, on_delivery=written)
    if producer.flush(15):
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  # its public name
    if failures:
        raise KafkaException(failures[0])


def ask(settings: Settings, codec: Codec, command: Command, timeout: float) -> Answer:
    """Send *command* and wait for its effect or its refusal.

    Args:
        settings: Where the brokers are.
        codec: Writes the command and reads the answer.
        command: One of ANSWERED.
        timeout: Seconds to wait.

    Raises:
        KafkaException: No broker answers.
        Unreachable: A topic is missing.
        RegistryUnavailable: The schema registry does not answer.
    """
    watch = Watch(settings, codec, [DEPLOYMENTS])
    try:
        send(settings, codec, command)
        seen = watch.until(answers(command), timeout)
    finally:
        watch.close()
    return Answer(command, None if seen is None else seen.value)


def answers(command: Command) -> Callable[[Seen], bool]:
    """Whether a record tells what became of *command*.

    A change made by hand, and a refusal, carry an id made of the command's. A rollout that the
    command ended keeps its own id; its last event names who ended it.
    """
    own = name("m", command.scope, command.id)

    def told(seen: Seen) -> bool:
        event = seen.value
        if not isinstance(event, Deployment) or event.scope != command.scope:
            return False
        ended = event.phase is Phase.ROLLED_BACK and event.by == command.by
        return event.id == own or (ended and command.kind is CommandKind.ROLLBACK)

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
