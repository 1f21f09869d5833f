"""The agent of merge."""

from __future__ import annotations

from faust.types import StreamT

from streams.exactly_once.source import Batch


async def merge(batches: StreamT[Batch]) -> None:
    """Add partials up; publish each window when it closes and when late events revise it."""
    async for batch in batches:
        await batch.commit(step)
