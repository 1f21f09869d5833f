"""The agent of detect."""

from __future__ import annotations

from faust.types import StreamT

from streams.exactly_once.source import Batch


async def detect(batches: StreamT[Batch]) -> None:
    """Score each closed window against its scope's own past; publish the anomalies."""
    async for batch in batches:
        await batch.commit(step)
