"""The agent of detect."""

from __future__ import annotations

from functools import partial

from faust.types import StreamT

from processors.detect import ENTRY, DetectPolicy, DetectState, fresh, restore, step
from processors.detect.suppress import known
from schemas.catalog import Catalog
from schemas.topics import DEPLOYMENTS, ENRICHED
from streams.exactly_once.decode import decode
from streams.exactly_once.source import Batch
from streams.exactly_once.stage import Stage
from streams.settings import Settings


def stage(_settings: Settings) -> Stage[DetectPolicy, DetectState]:
    """Keeps each scope's past; learns from deployments and the catalog what is to be expected."""

    def policy(catalog: Catalog) -> DetectPolicy:
        return DetectPolicy(recurring=known(catalog.events.values()))

    return Stage(
        name="detect",
        reads=(DEPLOYMENTS, ENRICHED),
        decode=partial(decode, left=(DEPLOYMENTS,)),  # decide puts those aside
        policy=policy,
        step=step,
        fresh=fresh,
        restore=restore,
        entry=ENTRY,
        batch=2_000,
        catalog=True,
        in_step=True,  # a rollout explains the windows that come after it
    )


async def detect(batches: StreamT[Batch]) -> None:
    """Score each closed window against its scope's own past; publish the anomalies."""
    async for batch in batches:
        await batch.commit(step)
