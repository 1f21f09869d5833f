"""The agent of actuate."""

from __future__ import annotations

from faust.types import StreamT

from streams.exactly_once.source import Batch


async def actuate(batches: StreamT[Batch]) -> None:
    """Roll decisions out in steps, judge the cohorts every minute, take back what is worse."""
    async for batch in batches:
        await batch.commit(step)
