"""Put a command on its topic; what a stop needs before anything else, so it imports little."""

from __future__ import annotations

import time

from confluent_kafka import KafkaError, KafkaException, Message

from schemas.command import Command, CommandKind
from schemas.jsontext import jsontext
from schemas.topic import COMMANDS
from streams import kafka

HOLDS = (CommandKind.PAUSE, CommandKind.RESUME, CommandKind.STOP)  # twice is as good as once
NOBODY = 0.3  # seconds after which it counts that no broker could be connected to
LOOK = 0.02


def send(brokers: str, command: Command, patience: float = 10.0) -> int:
    """Put *command* on its topic; it is there for good when this returns.

    An idempotent producer waits 500 ms for its id before it sends anything. A hold that a retry has
    written twice is the same hold, so holds go out without.

    Args:
        brokers: Where the topic is.
        command: What to put there.
        patience: Seconds for a broker to take it; less where nobody listens.

    Returns:
        Its offset.

    Raises:
        KafkaException: No broker took it.
    """
    failures: list[KafkaError] = []
    offsets: list[int] = []
    troubles: list[KafkaError] = []

    def written(error: KafkaError | None, message: Message) -> None:
        if error is not None:
            failures.append(error)
        else:
            offsets.append(message.offset())

    producer = kafka.producer(
        brokers,
        message_timeout_ms=round(patience * 1_000),
        enable_idempotence=command.kind not in HOLDS,
        error_cb=troubles.append,
    )
    producer.produce(COMMANDS.name, key=command.scope, value=jsontext(command), on_delivery=written)
    began = time.monotonic()
    while not (failures or offsets):
        gone = time.monotonic() - began
        down = any(each.code() == KafkaError._ALL_BROKERS_DOWN for each in troubles)  # noqa: SLF001  # its public name
        if gone > 1.5 * patience or (down and gone > NOBODY):
            producer.purge()
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  # the same
        producer.poll(LOOK)
    if failures:
        raise KafkaException(failures[0])
    return offsets[0]
