"""The agent of collect: events of any key in, mergeable partials spread by scope out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import TypeVar, overload

from confluent_kafka import Message
from faust.types import StreamT

from processors.collect import (
    ENTRY,
    CollectPolicy,
    CollectState,
    Read,
    absorb,
    fresh,
    restore,
    step,
)
from processors.summary.check import AHEAD
from schemas.codec import Codec
from schemas.decode import decode_events
from schemas.errors import Reason, Undecodable
from schemas.floor import Floor
from schemas.flow import Emit, Input, Moment
from schemas.topics import FLOORS, METRICS, QUALITY, TOPICS
from schemas.window import MINUTE
from streams.exactly_once.decode import by_topic
from streams.exactly_once.decode import decode as one_by_one
from streams.exactly_once.source import Batch
from streams.exactly_once.split import offsets
from streams.exactly_once.stage import Read as Decoded
from streams.exactly_once.stage import Stage
from streams.settings import Settings

T = TypeVar("T")
VALUE, KEY, HEADERS = map(methodcaller, ("value", "key", "headers"))
EVER = 1 << 62  # ms
LARGEST_ROUND = 60_000  # messages; bounds memory and the length of a step while catching up


def decode(codec: Codec, messages: Sequence[Message], moment: Moment) -> Decoded:
    """Messages sorted by topic: events as columns, whose dead letters the step writes; floors."""
    return _read(codec, messages, moment, moment.now)


def again(codec: Codec, messages: Sequence[Message], moment: Moment) -> Decoded:
    """The same, with any timestamp: what was taken once is known again whatever the clock says."""
    return _read(codec, messages, moment, None)


def _read(codec: Codec, messages: Sequence[Message], moment: Moment, now: int | None) -> Decoded:
    reads, dead = list[Read | Input](), list[Emit]()
    for name, group in by_topic(messages):
        if name == FLOORS.name:
            floors = one_by_one(codec, group, moment, check=_plausible)
            reads += floors.inputs
            dead += floors.dead
            continue
        at = (EVER, EVER) if now is None else (now, TOPICS[name].retention_ms or 0)
        reads.append(
            Read(
                topic=name,
                offsets=offsets(group),
                decoded=decode_events(codec.registry, name, group, *at),
                values=Lazily(group, VALUE),
                keys=Lazily(group, KEY),
                headers=Lazily(group, HEADERS),
            )
        )
    return Decoded(reads, tuple(dead))


def _plausible(message: Message, floor: Floor) -> None:
    """Refuse a floor that would make all events late.

    Raises:
        Undecodable: with the reason.
    """
    latest = message.timestamp()[1] + AHEAD
    if floor.before > latest:
        said = f"before is {floor.before}, after {latest}"
        raise Undecodable(Reason.IN_THE_FUTURE, said)
    if floor.before < 0 or floor.before % MINUTE:
        raise Undecodable(Reason.OUT_OF_RANGE, f"before is {floor.before}, no minute in ms")


class Lazily(Sequence[T]):
    """One field of some messages, looked up only where it is asked for."""

    def __init__(self, messages: Sequence[Message], field: Callable[[Message], T]) -> None:
        self.messages = messages
        self.field = field

    def __len__(self) -> int:
        """How many messages."""
        return len(self.messages)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        """The field of one message, or of some."""
        if isinstance(index, slice):
            return Lazily(self.messages[index], self.field)
        return self.field(self.messages[index])


def stage(settings: Settings) -> Stage[CollectPolicy, CollectState]:
    """Reads in any order of keys; writes what one commit read, exactly once."""
    policy = CollectPolicy(
        destinations=settings.partitions_derived,
        grace_ms=settings.window_grace_ms,
        delay_ms=settings.window_delay_ms,
        idle_ms=settings.idle_after_ms,
    )
    return Stage(
        name="collect",
        reads=(METRICS, QUALITY, FLOORS),
        decode=decode,
        policy=lambda _catalog: policy,
        step=step,
        fresh=fresh,
        restore=restore,
        absorb=absorb,
        again=again,
        entry=ENTRY,
        in_step=True,
        interval=settings.commit_interval_ms / 1_000,
        tick=1.0,
        batch=LARGEST_ROUND,
    )


async def collect(batches: StreamT[Batch]) -> None:
    """Sum up what was read, per key and minute; send each scope's share to its partition."""
    async for batch in batches:
        await batch.commit(step)
