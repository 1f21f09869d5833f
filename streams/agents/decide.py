"""The agent of decide."""

from __future__ import annotations

from functools import partial

from faust.types import StreamT

from processors.decide import ENTRY, DecidePolicy, DecideState, fresh, restore, step
from schemas.catalog import Catalog
from schemas.topics import ANOMALIES, CATALOG, DEPLOYMENTS, ENRICHED, INSIGHTS
from streams.exactly_once.decode import decode
from streams.exactly_once.source import Batch
from streams.exactly_once.stage import Stage
from streams.settings import Settings


def stage(_settings: Settings) -> Stage[DecidePolicy, DecideState]:
    """Follows the catalog; learns from deployments what became of its decisions."""

    def policy(catalog: Catalog) -> DecidePolicy:
        return DecidePolicy(catalog=catalog)

    return Stage(
        name="decide",
        reads=(ANOMALIES, DEPLOYMENTS, ENRICHED, INSIGHTS),
        decode=partial(decode, left=(ENRICHED,)),  # detect puts those aside
        policy=policy,
        step=step,
        fresh=fresh,
        restore=restore,
        entry=ENTRY,
        commands=True,
        puts_aside=(CATALOG,),
        catalog=True,
    )


async def decide(batches: StreamT[Batch]) -> None:
    """Weigh rules, candidates and constraints for each scope; publish every decision."""
    async for batch in batches:
        await batch.commit(step)
