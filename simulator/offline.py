"""The whole loop without Kafka: the fleet, the stages' own steps, and configs back to the fleet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from processors import collect, enrich, merge
from processors.actuate import step as actuate
from schemas.columns import Decoded
from schemas.config import ScopeConfig
from schemas.decision import Decision
from schemas.flow import Emit, Input, Moment
from schemas.rollout import Deployment
from schemas.topics import (
    AGGREGATES,
    CONFIG,
    DECISIONS,
    ENRICHED,
    FLOORS,
    METRICS,
    PARTIALS,
)
from simulator.fleet import Fleet
from simulator.requests import columns, requests
from simulator.trace import MINUTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeing:
    """The policies of the stages that make windows, each with one task."""

    collect: collect.CollectPolicy = field(default_factory=collect.CollectPolicy)
    merge: merge.MergePolicy = field(default_factory=merge.MergePolicy)
    enrich: enrich.EnrichPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages(Seeing):
    """And that of the one that rolls configs out."""

    actuate: actuate.ActuatePolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """Where everything stands after some minutes; `configs` is what the applications have read."""

    minute: int = 0  # the next
    collect: collect.CollectState = field(default_factory=collect.fresh)
    merge: merge.MergeState = field(default_factory=merge.fresh)
    actuate: actuate.ActuateState = field(default_factory=actuate.fresh)
    asked: Sequence[Input] = ()  # floors that collect has not read
    configs: Mapping[str, ScopeConfig] = field(default_factory=dict)
    offsets: Mapping[str, int] = field(default_factory=dict)  # topic: the next


def pass_minute(
    stages: Stages, fleet: Fleet, loop: Loop, decisions: Sequence[Decision] = ()
) -> tuple[Loop, tuple[Deployment, ...]]:
    """Let a minute go by: serve it, sum it up, and judge the minute that this one closes.

    As live, the minute before closes when events of this one have moved the watermark beyond it,
    and a config that is written then serves from the next minute on.

    Args:
        stages: What each stage is told.
        fleet: Who asks; every request is reported once, in time.
        loop: What was left by the minute before.
        decisions: That the actuator reads before the closed minute.

    Returns:
        What is left, and what the rollouts had to tell.
    """
    seen, windows = see(stages, fleet, loop)
    offsets = dict(seen.offsets)
    told = actuate.step(
        stages.actuate,
        loop.actuate,
        [*_numbered(offsets, DECISIONS.name, decisions), *windows],
        moment_of(fleet, loop.minute),
    )
    written = {emit.value.scope: emit.value for emit in told.emits if emit.topic == CONFIG.name}
    after = replace(seen, actuate=told.state, configs={**loop.configs, **written}, offsets=offsets)
    return after, tuple(emit.value for emit in told.emits if isinstance(emit.value, Deployment))


def see(stages: Seeing, fleet: Fleet, loop: Loop) -> tuple[Loop, list[Input]]:
    """Let a minute go by that nobody judges: what is left, and the enriched windows of it."""
    moment = moment_of(fleet, loop.minute)
    offsets = dict(loop.offsets)
    events = columns(requests(fleet, loop.minute, loop.configs))
    first = offsets.get(METRICS.name, 0)
    offsets[METRICS.name] = first + len(events)
    read = collect.Read(
        topic=METRICS.name,
        offsets=first + np.arange(len(events)),
        decoded=Decoded(events, ()),
        # of letters only, and there are none
        values=(),
        keys=(),
        headers=(),
    )
    summed = collect.step(stages.collect, loop.collect, [*loop.asked, read], moment)
    partials = _inputs(offsets, PARTIALS.name, summed.emits)
    merged = merge.step(stages.merge, loop.merge, partials, moment)
    windows = _inputs(offsets, AGGREGATES.name, merged.emits)
    enriched = enrich.step(stages.enrich, None, windows, moment)
    asked = _inputs(offsets, FLOORS.name, merged.emits)
    found = _inputs(offsets, ENRICHED.name, enriched.emits)
    after = replace(
        loop,
        minute=loop.minute + 1,
        collect=summed.state,
        merge=merged.state,
        asked=asked,
        offsets=offsets,
    )
    return after, found


def moment_of(fleet: Fleet, minute: int) -> Moment:
    """When a minute is over."""
    now = fleet.start + (minute + 1) * MINUTE
    return Moment(now=now, seed=0, epoch=1, partition=0, partitions=1)


def _inputs(offsets: dict[str, int], topic: str, emits: Iterable[Emit]) -> list[Input]:
    return _numbered(offsets, topic, (emit.value for emit in emits if emit.topic == topic))


def _numbered(offsets: dict[str, int], topic: str, values: Iterable[Any]) -> list[Input]:
    first = offsets.get(topic, 0)
    inputs = [Input(topic, first + i, value) for i, value in enumerate(values)]
    offsets[topic] = first + len(inputs)
    return inputs
