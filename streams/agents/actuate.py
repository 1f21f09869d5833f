"""The agent of actuate."""

from __future__ import annotations

from functools import partial

from faust.types import StreamT

from processors.actuate.step import ENTRY, ActuatePolicy, ActuateState, fresh, restore, step
from schemas.catalog import Catalog
from schemas.scope import ALL
from schemas.topics import COMMANDS, DECISIONS, ENRICHED
from streams.exactly_once.decode import decode
from streams.exactly_once.source import Batch
from streams.exactly_once.stage import Stage
from streams.settings import Settings


def stage(settings: Settings) -> Stage[ActuatePolicy, ActuateState]:
    """Keeps each scope's rollout and history; obeys commands, judges under the catalog."""

    def policy(catalog: Catalog) -> ActuatePolicy:
        limits = catalog.constraints_for(ALL)
        return ActuatePolicy(
            catalog=catalog,
            max_optimizations=limits.max_optimizations,
            max_rollouts=limits.max_rollouts,
            max_returns=limits.max_returns,
            settle_s=settings.settle_ms // 1_000,
        )

    return Stage(
        name="actuate",
        reads=(DECISIONS, ENRICHED),
        decode=partial(decode, left=(ENRICHED,)),  # detect puts those aside
        policy=policy,
        step=step,
        fresh=fresh,
        restore=restore,
        entry=ENTRY,
        commands=True,
        puts_aside=(COMMANDS,),
        catalog=True,
        tick=10.0,
    )


async def actuate(batches: StreamT[Batch]) -> None:
    """Roll decisions out in steps, judge the cohorts every minute, take back what is worse."""
    async for batch in batches:
        await batch.commit(step)
