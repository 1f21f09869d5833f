"""The baselines of one metric: of which time each is, and its versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from processors.analyze.trend.direction import Good

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY = 86_400_000  # ms


class Kind(StrEnum):
    """Which time a baseline is of."""

    INITIAL = "initial"  # the first span there was, never another
    ROLLING = "rolling"  # the last span, taken again once a day
    PEAK = "peak"  # the best day so far
    SNAPSHOT = "snapshot"  # the span before a change
    GOLDEN = "golden"  # what a person has chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinePolicy:
    """How much a baseline is made of, and how many versions are kept.

    Raises:
        ValueError: A number that cannot work.
    """

    span_ms: int = 7 * DAY
    again_ms: int = DAY  # before a rolling baseline is taken again
    least: int = 20  # values of a baseline
    most: int = 2_016  # values that are kept: a week of 5 minutes; of more, the newest
    versions: int = 5  # of each kind

    def __post_init__(self) -> None:
        """Refuse baselines of nothing."""
        if min(self.span_ms, self.again_ms, self.versions) < 1:
            raise ValueError("span_ms, again_ms and versions must be at least 1")
        if not 2 <= self.least <= self.most:
            raise ValueError("least must be at least 2 and at most most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A version of a baseline: immutable once it is taken."""

    kind: Kind
    version: int  # counts up from 1, for each kind
    taken_at: int  # ms
    times: tuple[int, ...]  # ms, rising
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Baselines:
    """The versions of each kind of one metric, the newest last."""

    kinds: Mapping[Kind, tuple[Baseline, ...]] = field(default_factory=dict)

    def newest(self, kind: Kind, version: int | None = None) -> Baseline | None:
        """The newest version of a kind, or the one that is asked for; None where there is none."""
        found = [
            each for each in self.kinds.get(kind, ()) if version is None or each.version == version
        ]
        return found[-1] if found else None


def take(
    policy: BaselinePolicy,
    baselines: Baselines,
    kind: Kind,
    times: Ints,
    values: Floats,
    now: int,
    good: Good = Good.NEITHER,
) -> Baselines:
    """Take a baseline, if it is time for it and there is enough to take it of.

    Args:
        policy: How much, and how often.
        baselines: Those so far.
        kind: Which to take. Initial is of the first span of the values, once; rolling of the last
            span before *now*, once a day; peak of the best day by its median, when it is better
            than the one so far; snapshot of the span before *now*, the change; golden of
            all values, which a person has chosen.
        times: ms, rising [n].
        values: [n]; those that are not finite are left out.
        now: ms; what is later is not looked at.
        good: Which way is good, for the peak; of a metric of which nobody knows there is none.

    Returns:
        The same where nothing was taken.
    """
    known = np.isfinite(values) & (times < now)
    times, values = times[known], values[known]
    if not times.size:
        return baselines
    last = baselines.newest(kind)
    if kind is Kind.INITIAL:
        end = int(times[0]) + policy.span_ms
        if last is not None or now < end:
            return baselines
        chosen = times < end
    elif kind is Kind.PEAK:
        found = _best_day(policy, times, values, good)
        if found is None or (last is not None and not _better(found, times, values, last, good)):
            return baselines
        chosen = found
    elif kind is Kind.GOLDEN:
        chosen = np.ones(times.size, dtype=np.bool_)
    else:
        rolled = kind is Kind.ROLLING and last is not None
        if rolled and last is not None and now - last.taken_at < policy.again_ms:
            return baselines
        chosen = times >= now - policy.span_ms
    if int(chosen.sum()) < policy.least:
        return baselines
    taken = Baseline(
        kind=kind,
        version=1 if last is None else last.version + 1,
        taken_at=now,
        times=tuple(times[chosen][-policy.most :].tolist()),
        values=tuple(values[chosen][-policy.most :].tolist()),
    )
    kept = (*baselines.kinds.get(kind, ()), taken)[-policy.versions :]
    return Baselines({**baselines.kinds, kind: kept})


def _best_day(
    policy: BaselinePolicy, times: Ints, values: Floats, good: Good
) -> npt.NDArray[np.bool_] | None:
    """The day of the best median among those with enough values."""
    if good is Good.NEITHER:
        return None
    days = times // DAY
    best, found = -np.inf, None
    for day in np.unique(days):
        chosen = days == day
        if int(chosen.sum()) < policy.least:
            continue
        worth = _worth(values[chosen], good)
        if worth > best:
            best, found = worth, chosen
    return found


def _better(
    chosen: npt.NDArray[np.bool_], times: Ints, values: Floats, last: Baseline, good: Good
) -> bool:
    """Whether the day is another one than that of the last peak, and better."""
    if int(times[chosen][0]) // DAY == last.times[0] // DAY:
        return False
    return _worth(values[chosen], good) > _worth(np.array(last.values), good)


def _worth(values: Floats, good: Good) -> float:
    middle = float(np.median(values))
    return middle if good is Good.UP else -middle
