"""Whether what analysis found makes a condition true, false, or leaves it untold."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import NamedTuple

from processors.decide.compare import COMPARE
from processors.decide.policy import DecidePolicy
from processors.decide.state import Finding, ScopeState
from schemas.catalog import BETTER, Condition
from schemas.conditions import insight_of
from schemas.insight import InsightKind
from schemas.window import SIZES


class Told(NamedTuple):
    """A truth, or None for what cannot be told; and the ids of the insights that say so."""

    truth: bool | None
    insights: tuple[str, ...] = ()


Named = tuple[str, Finding]  # an insight's id, and what it says
Truth = Callable[[DecidePolicy, Condition, Finding], bool | None]
UNTOLD = Told(None)


def fresh(policy: DecidePolicy, now: int, finding: Finding) -> bool:
    """Whether an insight, withdrawn or not, still tells at *now* (ms of event time).

    A change point stays one, however long ago; a forecast is over when its time has come.
    """
    if finding.kind == InsightKind.CHANGE_POINT:
        return True
    over = finding.kind == InsightKind.FORECAST and finding.at <= now
    return not over and now - finding.end <= policy.fresh_ms.get(finding.window, 0)


def told(policy: DecidePolicy, state: ScopeState, leaf: Condition) -> Told:
    """What the newest insights say of a leaf that asks for one.

    It cannot be told without one, by one that is old (`DecidePolicy.fresh_ms`) or withdrawn, that
    is less confident than asked for, or inconclusive. Forecasts and predictions are asked for a
    value, which they have whichever way it goes.
    """
    kind, metric = insight_of(leaf) or ("", "")
    alike = [
        (id_, each)
        for id_, each in sorted(state.findings.items())
        if (each.kind, each.metric) == (kind, metric)
        and each.holds
        and fresh(policy, state.newest, each)
        and _named(leaf, each)
    ]
    if kind == InsightKind.CHANGE_POINT:
        since = state.newest - 1000 * (leaf.held_s or policy.change_s)
        return _any(policy, leaf, [pair for pair in alike if pair[1].at >= since])
    if kind == InsightKind.FORECAST:
        return _ahead(policy, leaf, alike, state.newest + 1000 * leaf.ahead_s)
    newest = max(alike, key=lambda pair: (pair[1].end, pair[0]), default=None)
    return UNTOLD if newest is None else _any(policy, leaf, [newest])


def worse_end(finding: Finding) -> float | None:
    """The end of the range that is worse; None where there is no range, or no worse."""
    better = BETTER.get(finding.metric)
    if better is None:
        return None
    return finding.low if better > 0 else finding.high


def _named(leaf: Condition, finding: Finding) -> bool:
    """Whether it is of those that the leaf names: windows, and a baseline or a model."""
    if leaf.prediction is not None:
        return finding.subject == leaf.model
    baseline = leaf.comparison is None or finding.subject.split(" ")[0] == leaf.than
    return baseline and finding.window == leaf.window


def _any(policy: DecidePolicy, leaf: Condition, pairs: Sequence[Named]) -> Told:
    """True by those that make it true; else untold if one is; false by all together."""
    truths = {id_: _truth(policy, leaf, each) for id_, each in pairs}
    if True in truths.values():
        return Told(truth=True, insights=tuple(id_ for id_, truth in truths.items() if truth))
    if None in truths.values() or not truths:
        return UNTOLD
    return Told(truth=False, insights=tuple(truths))


def _ahead(policy: DecidePolicy, leaf: Condition, pairs: Sequence[Named], until: int) -> Told:
    """Of the windows that begin before *until*.

    Forecasts are of some windows only: what lies between two that say no is no, what lies beyond
    the last one is untold.
    """
    pairs = sorted(pairs, key=lambda pair: pair[1].at)
    begun = [pair for pair in pairs if pair[1].at - SIZES[leaf.window] < until]
    found = _any(policy, leaf, begun)
    if found.truth is not False or begun[-1][1].at >= until:
        return found
    beyond = pairs[len(begun) : len(begun) + 1]
    return found if _any(policy, leaf, beyond).truth is False else UNTOLD


def _truth(policy: DecidePolicy, leaf: Condition, finding: Finding) -> bool | None:
    if not finding.confidence >= leaf.confidence:  # nor is what is not a number
        return None
    return TRUTHS[finding.kind](policy, leaf, finding)


def _trend(_: DecidePolicy, leaf: Condition, finding: Finding) -> bool | None:
    wanted = _as(leaf.direction, finding)
    if wanted is None or not isfinite(finding.value):
        return None
    return wanted and (leaf.op is None or COMPARE[leaf.op](finding.value, leaf.value or 0.0))


def _change(_: DecidePolicy, leaf: Condition, finding: Finding) -> bool | None:
    return _as(leaf.direction, finding) and _large(leaf, finding)


def _comparison(policy: DecidePolicy, leaf: Condition, finding: Finding) -> bool | None:
    wanted = _as(leaf.direction or "degrading", finding)
    if not wanted:
        return wanted
    if finding.p is None or not finding.p <= policy.significance:
        return None
    return _large(leaf, finding)


def _value(_: DecidePolicy, leaf: Condition, finding: Finding) -> bool | None:
    value = worse_end(finding) if leaf.bound == "pessimistic" else finding.value
    if value is None or not isfinite(value) or leaf.op is None:
        return None
    return COMPARE[leaf.op](value, leaf.value or 0.0)


def _large(leaf: Condition, finding: Finding) -> bool | None:
    """Whether the change is as large as asked for."""
    if not leaf.by:
        return True
    if finding.relative is None or not isfinite(finding.relative):
        return None
    return abs(finding.relative) >= leaf.by


def _as(direction: str | None, finding: Finding) -> bool | None:
    """Whether it goes where it is wanted to, anywhere for None; None when that is not said."""
    goes = _goes(finding.metric, finding.direction)
    if goes is None:
        return None
    return direction is None or goes == _goes(finding.metric, direction)


def _goes(metric: str, direction: str) -> int | None:
    """1 for up, −1 for down, 0 for stable; None when that is not said, or means nothing."""
    known = {"rising": 1, "falling": -1, "stable": 0}
    if direction in known:
        return known[direction]
    better = BETTER.get(metric)
    signs = {"improving": 1, "degrading": -1}
    return None if better is None or direction not in signs else signs[direction] * better


TRUTHS: Mapping[str, Truth] = {
    InsightKind.TREND: _trend,
    InsightKind.CHANGE_POINT: _change,
    InsightKind.COMPARISON: _comparison,
    InsightKind.FORECAST: _value,
    InsightKind.PREDICTION: _value,
}
