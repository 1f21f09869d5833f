"""The agent of analyze."""

from __future__ import annotations

from functools import partial

from faust.types import StreamT

from processors.analyze.stage import ENTRY, AnalyzePolicy, AnalyzeState, fresh, restore, step
from schemas.topics import DEPLOYMENTS, ENRICHED
from streams.exactly_once.decode import decode
from streams.exactly_once.source import Batch
from streams.exactly_once.stage import Stage
from streams.settings import Settings


def stage(_settings: Settings) -> Stage[AnalyzePolicy, AnalyzeState]:
    """Keeps what each scope was like, its baselines, and what was said of it."""
    policy = AnalyzePolicy()
    return Stage(
        name="analyze",
        reads=(DEPLOYMENTS, ENRICHED),
        decode=partial(decode, left=(DEPLOYMENTS, ENRICHED)),  # decide and detect put those aside
        policy=lambda _catalog: policy,
        step=step,
        fresh=fresh,
        restore=restore,
        entry=ENTRY,
        batch=2_000,
        commands=True,
    )


async def analyze(batches: StreamT[Batch]) -> None:
    """Say of each scope where it goes, changed, will be, and how it compares with its baselines."""
    async for batch in batches:
        await batch.commit(step)
