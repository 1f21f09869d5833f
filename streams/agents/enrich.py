"""The agent of enrich."""

from __future__ import annotations

from faust.types import StreamT

from streams.exactly_once.source import Batch


async def enrich(batches: StreamT[Batch]) -> None:
    """Say what each window cost, what it should have been and who answered."""
    async for batch in batches:
        await batch.commit(step)
