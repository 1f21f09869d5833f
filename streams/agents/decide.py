"""The agent of decide."""

from __future__ import annotations

from faust.types import StreamT

from streams.exactly_once.source import Batch


async def decide(batches: StreamT[Batch]) -> None:
    """Weigh rules, candidates and constraints for each scope; publish every decision."""
    async for batch in batches:
        await batch.commit(step)
