"""The agent of merge."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import attrgetter

from confluent_kafka import Message
from faust.types import StreamT

from processors.merge import ENTRY, MergePolicy, MergeState, absorb, fresh, restore, step
from processors.summary.check import SOURCES, check
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.flow import Input, Moment
from schemas.partial import Partial
from schemas.span import span
from schemas.topics import PARTIALS
from streams.exactly_once.decode import decode as one_by_one
from streams.exactly_once.source import Batch
from streams.exactly_once.stage import Read, Stage
from streams.settings import Settings


def decode(
    codec: Codec, messages: Sequence[Message], moment: Moment, sources: int = SOURCES
) -> Read:
    """Partials that can be added up; what cannot goes to the dead letters, and is told as None.

    Args:
        codec: Reads them.
        messages: As they came.
        moment: Of the task.
        sources: How many partitions `collect` has, at most.
    """

    def fits(message: Message, told: Partial) -> None:
        check(told, message.partition(), moment.partitions, message.timestamp()[1], sources)

    return _all_told(one_by_one(codec, messages, moment, check=fits), messages)


def again(codec: Codec, messages: Sequence[Message], moment: Moment) -> Read:
    """The same without a look at what they hold: what could be used is remembered, not judged."""
    return _all_told(one_by_one(codec, messages, moment), messages)


def _all_told(read: Read, messages: Sequence[Message]) -> Read:
    """An input for each of the messages, without a value for those that were not read."""
    if not read.dead:
        return read
    taken = {each.offset: each for each in read.inputs}
    told = ((each.offset(), Input(PARTIALS.name, each.offset(), None)) for each in messages)
    return Read([taken.get(offset, refused) for offset, refused in told], read.dead)


def stage(settings: Settings) -> Stage[MergePolicy, MergeState]:
    """Open minutes are read again after a takeover; the rest is on the changelog."""

    def policy(catalog: Catalog) -> MergePolicy:
        spans = sorted(map(span, catalog.windows.values()), key=attrgetter("name"))
        return MergePolicy(
            grace_ms=settings.window_grace_ms,
            sources=settings.partitions_ingest,
            windows=tuple(spans),
        )

    return Stage(
        name="merge",
        reads=(PARTIALS,),
        decode=partial(decode, sources=settings.partitions_ingest),
        policy=policy,
        step=step,
        fresh=fresh,
        restore=restore,
        absorb=absorb,
        again=again,
        entry=ENTRY,
        batch=500,
        catalog=True,
    )


async def merge(batches: StreamT[Batch]) -> None:
    """Add partials up; publish each window when it closes and when late events revise it."""
    async for batch in batches:
        await batch.commit(step)
