"""What a past is held against: baselines as they are taken and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from processors.analyze.baseline import Baseline, BaselinePolicy, Baselines, Kind, take
from processors.analyze.baseline.stored import DAY
from processors.analyze.stage.history import Floats, packed, unpacked
from processors.analyze.stage.state import Ground, Happened, Kept
from processors.analyze.stage.view import View
from schemas.rollout import SHIFTS, Deployment, Phase

Ints = npt.NDArray[np.int64]

VERSIONS = {Kind.INITIAL: 1, Kind.ROLLING: 2, Kind.PEAK: 1, Kind.GOLDEN: 1}
"""That are kept: of rolling ones two, since the newest is of the time that is compared."""

APPLICATIONS = "what applications bring along"


def happened(ground: Ground, event: Deployment, most: int) -> Ground:
    """Remember a step of a rollout, if it changed who serves whom; the newest *most* of them."""
    if event.phase not in SHIFTS:
        return ground
    candidate, stable = event.candidate_model or "the candidate", event.stable_model or APPLICATIONS
    what = {
        Phase.RAMPING: f"{candidate} was given {event.share / 100:g} % of the traffic",
        Phase.PROMOTED: f"{candidate} was promoted",
        Phase.ROLLED_BACK: f"{candidate} was taken back, {stable} serves all",
    }[event.phase]
    told = Happened(event.id, event.sequence, event.at, event.phase.value, what)
    others = [e for e in ground.events if (e.id, e.sequence) != (told.id, told.sequence)]
    events = sorted([*others, told], key=lambda each: (each.at, each.id, each.sequence))[-most:]
    return replace(ground, events=tuple(events))


def renewed(view: View) -> Ground:
    """The baselines of hours that are due: the first, that of each day, the best day."""
    ground = _take(view, Kind.INITIAL)
    ground = _take(replace(view, ground=ground), Kind.ROLLING)
    if view.end % DAY == 0:
        ground = _take(replace(view, ground=ground), Kind.PEAK)
    return ground


def golden(view: View) -> Ground:
    """The last days as they are, because a person says that they are as they should be."""
    return _take(view, Kind.GOLDEN)


def _take(view: View, kind: Kind) -> Ground:
    ground, policy = view.ground, view.policy.baselines
    due = [
        (index, measure, kept)
        for index, measure in enumerate(view.policy.measures)
        if _due(policy, kind, kept := of(ground, kind, measure.metric.value), view.end)
    ]
    if not due:
        return ground
    times = view.begin + np.arange(len(view.cells), dtype=np.int64) * view.span.length
    recent = times >= (view.end - policy.span_ms if kind is Kind.GOLDEN else view.begin)
    for index, measure, kept in due:
        before = Baselines({kind: tuple(map(baseline, kept))} if kept else {})
        after = take(
            policy,
            before,
            kind,
            times[recent],
            view.cells[recent, index],
            view.end,
            measure.good,
        )
        taken = after.newest(kind)
        if after is not before and taken is not None:
            new = _pack(kind, measure.metric.value, taken, view.span.length)
            ground = keep(ground, (*kept, new)[-VERSIONS[kind] :])
    return ground


def _due(policy: BaselinePolicy, kind: Kind, kept: Sequence[Kept], now: int) -> bool:
    """Whether it may be time for another version, before anything is unpacked."""
    if kind is Kind.ROLLING and kept:
        return now - kept[-1].taken_at >= policy.again_ms
    return kind is not Kind.INITIAL or not kept


def of(ground: Ground, kind: Kind, metric: str) -> tuple[Kept, ...]:
    """The versions of a metric's baseline, the newest last."""
    return tuple(
        each for each in ground.baselines if (each.kind, each.metric) == (kind.value, metric)
    )


def keep(ground: Ground, versions: Sequence[Kept]) -> Ground:
    """Let *versions*, of one kind and metric, take the place of all others of these."""
    kind, metric = versions[0].kind, versions[0].metric
    others = [each for each in ground.baselines if (each.kind, each.metric) != (kind, metric)]
    kept = sorted([*others, *versions], key=lambda each: (each.kind, each.metric, each.version))
    return replace(ground, baselines=tuple(kept))


def baseline(kept: Kept) -> Baseline:
    """A version as the methods want it, without gaps."""
    values = unpacked(kept.values)
    there = np.flatnonzero(np.isfinite(values))
    return Baseline(
        kind=Kind(kept.kind),
        version=kept.version,
        taken_at=kept.taken_at,
        times=tuple((kept.start + there * kept.step).tolist()),
        values=tuple(values[there].tolist()),
    )


def _pack(kind: Kind, metric: str, taken: Baseline, step: int) -> Kept:
    start = taken.times[0]
    rows = (np.array(taken.times, dtype=np.int64) - start) // step
    values: Floats = np.full(int(rows[-1]) + 1, np.nan)
    values[rows] = taken.values
    return Kept(kind.value, metric, taken.version, taken.taken_at, start, step, packed(values))
