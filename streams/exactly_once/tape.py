"""The input of recorded commits, read forwards once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Message

from schemas.journal import Range
from streams.exactly_once.reading import end_of, read
from streams.exactly_once.recording import Incomparable, Recording
from streams.exactly_once.split import At
from streams.exactly_once.whole import WHOLE

OUT = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})  # noqa: SLF001  # its public name


class Tape:
    """One input partition from an offset on."""

    def __init__(self, recording: Recording, at: At, start: int) -> None:
        self.reader = recording.reader()
        self.at = at
        self.low, self.high = end_of(self.reader, at)
        self.messages = read(self.reader, {at: (max(start, self.low), self.high)})
        self.ahead: Message | None = None

    def take(self, stretch: Range) -> list[Message]:
        """The records of *stretch*.

        Raises:
            Incomparable: some of them are not there any more.
        """
        held(stretch, self.low, self.high)
        try:
            return list(self._within(stretch))
        except KafkaException as error:
            if error.args[0].code() not in OUT:
                raise
            raise Incomparable(
                f"{stretch.topic}[{stretch.partition}] lost records from {stretch.start} on while "
                "they were being read: retention deletes the input",
                [stretch],
            ) from error

    def _within(self, stretch: Range) -> Iterator[Message]:
        while (message := self.ahead or next(self.messages, None)) is not None:
            self.ahead = None
            if message.offset() >= stretch.end:
                self.ahead = message
                return
            if message.offset() >= stretch.start:
                yield message

    def close(self) -> None:
        """Let the connection go."""
        self.messages.close()  # first, for its end still speaks to the reader
        self.reader.close()


def held(stretch: Range, low: int, high: int) -> None:
    """Check that offsets [low, high) hold *stretch*.

    Raises:
        Incomparable: they do not.
    """
    where = f"{stretch.topic}[{stretch.partition}]"
    if stretch.start < low:
        gone = Range(
            topic=stretch.topic,
            partition=stretch.partition,
            start=stretch.start,
            end=min(low, stretch.end),
        )
        raise Incomparable(
            f"{where} begins at offset {low}, but was read from {stretch.start}: "
            f"offsets {gone.start} to {gone.end - 1} are deleted",
            [gone],
        )
    if stretch.end > high:
        gone = Range(
            topic=stretch.topic,
            partition=stretch.partition,
            start=max(high, stretch.start),
            end=stretch.end,
        )
        raise Incomparable(
            f"{where} ends at offset {high}, but was read up to {stretch.end}: "
            "it is not the topic that was read",
            [gone],
        )


@dataclass(slots=True)
class Tapes:
    """All inputs of a task."""

    recording: Recording
    open: dict[At, Tape] = field(default_factory=dict)

    def take(self, ranges: tuple[Range, ...]) -> list[Message]:
        """The records that a commit read, but those of topics read whole, in its order.

        Raises:
            Incomparable: some of them are not there any more.
        """
        messages: list[Message] = []
        for stretch in ranges:
            at = (stretch.topic, stretch.partition)
            if stretch.topic in WHOLE:
                continue
            if at not in self.open:
                self.open[at] = Tape(self.recording, at, stretch.start)
            messages += self.open[at].take(stretch)
        return messages

    def close(self) -> None:
        """Let the connections go."""
        for each in self.open.values():
            each.close()
