"""A worker with one toy stage: count commands' scopes, so that a sum proves exactly-once.

Run as a script by the tests: counting.py BROKERS REGISTRY NAME.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.anomaly import Anomaly, Severity
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.topics import ANOMALIES, DEPLOYMENTS
from streams.app import work
from streams.exactly_once.decode import decode
from streams.exactly_once.stage import Stage
from streams.log import set_up
from streams.settings import Settings

POISON, CRASH = "poison/e", "crash/e"  # scopes of which a step, and once an agent, dies
crashed: list[Any] = []


@dataclass(frozen=True)
class Count:
    n: int


def step(
    _policy: None, state: Mapping[str, int], inputs: Sequence[Input], moment: Moment
) -> Outcome[Mapping[str, int]]:
    counts = dict(state)
    emits = []
    for each in inputs:
        scope = each.value.scope
        if scope == POISON:
            raise ValueError("as told")
        counts[scope] = counts.get(scope, 0) + 1
        emits.append(Emit(ANOMALIES.name, scope, anomaly(scope, counts[scope]), moment.partition))
    touched = sorted({each.value.scope for each in inputs})
    return Outcome(
        counts,
        tuple(emits),
        {scope: Count(counts[scope]) for scope in touched},
        {"read": len(inputs), "counted": len(inputs)},
    )


def anomaly(scope: str, n: int) -> Anomaly:
    return Anomaly(
        id=f"{scope}|{n}", scope=scope, metric="count", window="1m", start=0, end=0, revision=1,
        is_anomaly=True, severity=Severity.LOW, confidence=1.0, actual=float(n), expected=0.0,
        expected_low=0.0, expected_high=0.0, deviation=0.0, detector="count", samples=0,
    )  # fmt: skip


STAGE: Stage[None, Mapping[str, int]] = Stage(
    name="detect",
    reads=(DEPLOYMENTS,),
    decode=decode,
    policy=lambda _catalog: None,
    step=step,
    fresh=dict,
    restore=lambda entries: {scope: entry.n for scope, entry in entries.items()},
    entry=Count,
    commands=True,
    batch=200,
)


async def agent(batches: Any) -> None:
    """Count, but die of the first batch with CRASH in it, outside of any step."""
    async for batch in batches:
        if not crashed and any(each.value.scope == CRASH for each in batch.work.read.inputs):
            crashed.append(batch)
            raise RuntimeError("as told")
        await batch.commit(step)


if __name__ == "__main__":
    set_up("INFO", as_json=True)
    brokers, registry, name = sys.argv[1:4]
    settings = Settings(bootstrap_servers=brokers, schema_registry_url=registry)
    sys.exit(asyncio.run(work(settings, name, [(STAGE, agent)])))
