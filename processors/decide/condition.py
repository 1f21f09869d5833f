"""Whether a rule's condition holds, does not hold, or cannot be told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median

from processors.decide.compare import COMPARE
from processors.decide.insights import told
from processors.decide.policy import DecidePolicy
from processors.decide.state import Held, Minute, ScopeState
from schemas.anomaly import RANK, Severity
from schemas.catalog import Condition, Metric, Rule
from schemas.conditions import branches, insight_of
from schemas.scope import covering


def applies(scopes: Iterable[str], scope: str) -> bool:
    """Whether a list of scopes means *scope*, by itself, its service or `*`."""
    return not set(covering(scope)).isdisjoint(scopes)


def rules_for(policy: DecidePolicy, scope: str) -> list[Rule]:
    """The enabled rules of a scope, most urgent first, then by id."""
    order = ("critical", "high", "medium", "low")
    rules = [r for r in policy.catalog.rules.values() if r.enabled and applies(r.scopes, scope)]
    return sorted(rules, key=lambda rule: (order.index(rule.priority), rule.id))


def leaves(condition: Condition) -> Iterator[Condition]:
    """What a condition is made of."""
    parts = (*condition.all_of, *condition.any_of, *condition.none_of)
    if not parts:
        yield condition
    for part in parts:
        yield from leaves(part)


def comparisons(condition: Condition) -> Iterator[Condition]:
    """The metric leaves of a condition."""
    return (leaf for leaf in leaves(condition) if leaf.metric is not None)


def name_of(leaf: Condition) -> str:
    """What a leaf compares, without how long: leaves of one name share their run.

    >>> name_of(Condition(metric=Metric.QUALITY, op="<", value=80.0, held_s=300))
    'quality < 80.0'
    """
    times = " × baseline" if leaf.relative_to else ""
    return f"{leaf.metric} {leaf.op} {leaf.value}{times}"


def baseline(policy: DecidePolicy, minutes: Iterable[Minute], metric: Metric) -> float | None:
    """The median of a metric in *minutes*; None when too few of them have it."""
    values = [v for minute in minutes if (v := minute.reading(metric)) is not None]
    return median(values) if len(values) >= policy.min_baseline else None


def runs(
    policy: DecidePolicy, state: ScopeState, minute: Minute, *, unbroken: bool
) -> dict[str, Held]:
    """Which comparisons hold in *minute*, and since when.

    A baseline is taken when a run begins and kept while it lasts, so that a level that stays high
    does not become its own measure.

    Args:
        policy: Whose rules are looked at.
        state: The scope before this minute.
        minute: The newest one.
        unbroken: Whether it follows the one before without a gap.
    """
    found: dict[str, Held] = {}
    for rule in rules_for(policy, state.scope):
        for leaf in comparisons(rule.when):
            name = name_of(leaf)
            before = state.held.get(name) if unbroken else None
            base = before.baseline if before else None
            if before is None and leaf.relative_to:
                base = baseline(policy, state.minutes, leaf.metric or Metric.REQUESTS)
            if name not in found and _compares(leaf, minute, base):
                found[name] = before or Held(minute.start, base)
    return found


def _compares(leaf: Condition, minute: Minute, base: float | None) -> bool:
    value = minute.reading(leaf.metric) if leaf.metric else None
    if (
        value is None
        or leaf.value is None
        or leaf.op is None
        or (leaf.relative_to and base is None)
    ):
        return False
    return COMPARE[leaf.op](value, leaf.value * (base or 0.0) if leaf.relative_to else leaf.value)


def holds(policy: DecidePolicy, state: ScopeState, condition: Condition) -> bool | None:
    """The condition in the newest minute of the scope, in Kleene's three-valued logic.

    Returns:
        None when it cannot be told, because a metric has no value, a baseline no evidence, or
        analysis nothing new and conclusive to say; what cannot be told under `none_of` cannot be
        told either, it is not a pass.
    """
    if condition.metric is not None:
        return _metric(policy, state, condition)
    if condition.anomaly is not None:
        return bool(_anomalies(policy, state, condition))
    if condition.all_of:
        return _worst(holds(policy, state, part) for part in condition.all_of)
    parts = condition.any_of or condition.none_of
    if not parts:
        return told(policy, state, condition).truth
    found = _negated(_worst(_negated(holds(policy, state, part)) for part in parts))
    return found if condition.any_of else _negated(found)


def _worst(parts: Iterable[bool | None]) -> bool | None:
    """Of a conjunction; the first False ends it."""
    found: bool | None = True
    for part in parts:
        if part is False:
            return False
        found = None if part is None else found
    return found


def _negated(part: bool | None) -> bool | None:  # noqa: FBT001  # a truth value is what it is about
    return None if part is None else not part


def _metric(policy: DecidePolicy, state: ScopeState, leaf: Condition) -> bool | None:
    if leaf.metric is None or not state.minutes or state.minutes[-1].reading(leaf.metric) is None:
        return None
    run = state.held.get(name_of(leaf))
    if run is not None:
        return state.newest - run.since >= leaf.held_s * 1000
    if leaf.relative_to and baseline(policy, state.minutes[:-1], leaf.metric) is None:
        return None
    return False


def sightings(
    policy: DecidePolicy, state: ScopeState, condition: Condition, *, wanted: bool = True
) -> list[str]:
    """The ids of the anomalies and insights that make a condition's leaves so, sorted.

    Args:
        policy: Says what is still news.
        state: The scope.
        condition: Any.
        wanted: Whether leaves that are true are meant; those under `none_of` are the opposite.
    """
    found: set[str] = set()
    if condition.anomaly is not None and wanted:
        found.update(_anomalies(policy, state, condition))
    if insight_of(condition) is not None:
        truth, insights = told(policy, state, condition)
        found.update(insights if truth is wanted else ())
    for name, part in branches(condition):
        inside = wanted is not name.startswith("none_of")
        found.update(sightings(policy, state, part, wanted=inside))
    return sorted(found)


def _anomalies(policy: DecidePolicy, state: ScopeState, leaf: Condition) -> list[str]:
    """The ids of the anomalies that make a leaf true."""
    window = (leaf.held_s or policy.anomaly_s) * 1000
    return [
        seen.id
        for severity in Severity
        if RANK[severity] >= RANK[Severity(leaf.severity)]
        and (seen := state.anomalies.get(f"{leaf.anomaly}|{severity}")) is not None
        and state.newest - seen.end <= window
    ]
