"""Messages of the derived topics as inputs; what cannot be read goes to the dead letters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from confluent_kafka import Message

from schemas.codec import Codec
from schemas.errors import Undecodable
from schemas.flow import Emit, Input, Moment
from schemas.topics import TOPICS, dead_letters
from streams.exactly_once.stage import Read


def by_topic(messages: Sequence[Message]) -> Iterator[tuple[str, Sequence[Message]]]:
    """The messages of each topic; they must be sorted by it."""
    start = 0
    while start < len(messages):
        topic = messages[start].topic()
        end = bisect_right(messages, topic, start, key=Message.topic)
        yield topic, messages[start:end]
        start = end


def decode(codec: Codec, messages: Sequence[Message], moment: Moment) -> Read:
    """One `Input` a message, in the order given."""
    inputs: list[Input] = []
    dead: list[Emit] = []
    for message in messages:
        topic = TOPICS[message.topic()]
        key = message.key()
        name = None if key is None else key.decode(errors="replace")
        try:
            value = codec.decode(topic, message.value() or b"", key=name)
        except Undecodable as error:
            dead.append(
                Emit(
                    topic=dead_letters(topic).name,
                    key=key,
                    value=message.value(),
                    headers=(
                        *(message.headers() or ()),
                        ("__dlq.errors.reason", error.reason.value.encode()),
                        ("__dlq.errors.detail", error.detail.encode()),
                        ("__dlq.errors.topic", topic.name.encode()),
                        ("__dlq.errors.partition", str(message.partition()).encode()),
                        ("__dlq.errors.offset", str(message.offset()).encode()),
                        ("__dlq.errors.timestamp", str(moment.now).encode()),
                    ),
                )
            )
        else:
            inputs.append(Input(topic.name, message.offset(), value, name))
    return Read(inputs, tuple(dead))
