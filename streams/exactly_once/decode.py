"""Messages of the derived topics as inputs; what cannot be read goes to the dead letters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from operator import methodcaller
from typing import Any

from confluent_kafka import Message

from schemas.codec import Codec
from schemas.consistent import inspect
from schemas.errors import Undecodable
from schemas.flow import Emit, Input, Moment
from schemas.topics import TOPICS, Topic
from streams.exactly_once.stage import Read
from streams.letters import letter

KEY, TOPIC = methodcaller("key"), methodcaller("topic")  # of whichever kind of message


def by_topic(messages: Sequence[Message]) -> Iterator[tuple[str, Sequence[Message]]]:
    """The messages of each topic; they must be sorted by it."""
    start = 0
    while start < len(messages):
        topic = messages[start].topic()
        end = bisect_right(messages, topic, start, key=TOPIC)
        yield topic, messages[start:end]
        start = end


def decode(
    codec: Codec,
    messages: Sequence[Message],
    moment: Moment,
    *,
    left: Sequence[Topic] = (),
    check: Callable[[Message, Any], None] | None = None,
) -> Read:
    """One `Input` a message, in the order given.

    Args:
        codec: Reads the values.
        messages: Of any topics with records.
        moment: When.
        left: Topics that another stage reads, too, to which their dead letters are left.
        check: Raises Undecodable for a message whose value no step could take, which must not
            depend on the moment: what was put aside once is put aside when it is read again.
    """
    inputs: list[Input] = []
    dead: list[Emit] = []
    for name, run in groupby(messages, key=TOPIC):
        topic, same = TOPICS[name], list(run)
        keys = [key if key is None else key.decode(errors="replace") for key in map(KEY, same)]
        values = codec.decode_all(topic, [each.value() or b"" for each in same], keys)
        for message, key, value in zip(same, keys, values, strict=True):
            try:
                if isinstance(value, Undecodable):
                    raise value
                inspect(value)
                if check is not None:
                    check(message, value)
            except Undecodable as error:
                if topic not in left:
                    dead.append(dead_letter(message, error, moment))
            else:
                inputs.append(Input(topic.name, message.offset(), value, key))
    return Read(inputs, tuple(dead))


def dead_letter(message: Message, why: Undecodable, moment: Moment) -> Emit:
    """The record that puts *message* aside, unchanged, on the partition that it was on."""
    topic, headers = letter(message, why.reason.value, why.detail, at=moment.now)
    return Emit(topic, message.key(), message.value(), message.partition(), headers)
