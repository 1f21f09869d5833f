"""The agent of enrich."""

from __future__ import annotations

from faust.types import StreamT

from processors.enrich import EnrichPolicy, step
from schemas.topics import AGGREGATES
from streams.exactly_once.decode import decode
from streams.exactly_once.source import Batch
from streams.exactly_once.stage import Stage
from streams.settings import Settings


def stage(_settings: Settings) -> Stage[EnrichPolicy, None]:
    """Follows the catalog; keeps no state but its position."""
    return Stage(
        name="enrich",
        reads=(AGGREGATES,),
        decode=decode,
        policy=EnrichPolicy,
        step=step,
        fresh=lambda: None,
        restore=lambda _entries: None,
        entry=None,
        catalog=True,
    )


async def enrich(batches: StreamT[Batch]) -> None:
    """Say what each window cost, what it should have been and who answered."""
    async for batch in batches:
        await batch.commit(step)
