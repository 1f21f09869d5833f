"""Rules, and what they rest on, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from processors.decide.constrain import percent
from processors.decide.state import Finding, ScopeState
from schemas.catalog import Condition, Rule
from schemas.conditions import insight_of
from schemas.insight import InsightKind

MINUTE_MS = 60_000


def because(rule: Rule) -> str:
    """Why the rule is looked at: its condition, in words."""
    if rule.id == "trigger":
        return f"An evaluation was {rule.name}."
    return f"Rule {rule.id} holds: {words(rule.when)}."


def words(condition: Condition) -> str:
    """A condition for people.

    >>> words(Condition(metric=None, anomaly="quality"))
    'an anomaly of quality (medium or worse)'
    """
    held = "" if not condition.held_s else f" for {_long(condition.held_s)}"
    if condition.metric is not None:
        times = " × its baseline" if condition.relative_to else ""
        return f"{condition.metric} {condition.op} {condition.value:g}{times}{held}"
    if condition.anomaly is not None:
        return f"an anomaly of {condition.anomaly} ({condition.severity} or worse){held}"
    asked = insight_of(condition)
    if asked is not None:
        return _insight(condition, *asked)
    for parts, joint in ((condition.all_of, " and "), (condition.any_of, " or ")):
        if parts:
            return "(" + joint.join(words(part) for part in parts) + ")"
    return "none of (" + ", ".join(words(part) for part in condition.none_of) + ")"


def _insight(leaf: Condition, kind: str, metric: str) -> str:
    """A leaf that asks what analysis found."""
    limit = "" if leaf.op is None else f" {leaf.op} {leaf.value:g}"
    worst = " at worst" if leaf.bound == "pessimistic" else ""
    by = f" by {percent(leaf.by)} or more" if leaf.by else ""
    sure = f" with confidence {leaf.confidence:g}" if leaf.confidence else ""
    direction = f" {leaf.direction}" if leaf.direction else ""
    match kind:
        case InsightKind.TREND:
            an_hour = f"{limit} an hour" if limit else ""
            what = f"a{direction} trend of {metric}{an_hour}, by {leaf.window}"
        case InsightKind.CHANGE_POINT:
            since = f" within {_long(leaf.held_s)}" if leaf.held_s else " of late"
            what = f"a{direction} change of {metric}{by}{since}, by {leaf.window}"
        case InsightKind.COMPARISON:
            worse = leaf.direction or "degrading"
            what = f"{metric} {worse}{by} against its {leaf.than} baseline, by {leaf.window}"
        case InsightKind.FORECAST:
            ahead = _long(leaf.ahead_s)
            what = f"{metric}{limit}{worst} within the next {ahead}, forecast by {leaf.window}"
        case _:
            what = f"{metric}{limit}{worst}, predicted for {leaf.model}"
    return f"{what}{sure}"


def findings(state: ScopeState, ids: Iterable[str]) -> Iterator[str]:
    """What each insight says that a rule rests on, and how old it is; other ids are passed over."""
    for id_ in ids:
        finding = state.findings.get(id_)
        if finding is not None:
            yield _finding(finding, state.newest)


def _finding(finding: Finding, now: int) -> str:
    kind = finding.kind.replace("_", " ")
    of = f" ({finding.subject})" if finding.subject else ""
    ends = ""
    if finding.low is not None and finding.high is not None:
        ends = f", {finding.low:.6g} to {finding.high:.6g}"
    hour = " an hour" if finding.kind == InsightKind.TREND else ""
    was = "" if finding.reference is None or hour else f", against {finding.reference:.6g}"
    old = _long(max(0, now - finding.end) / 1000)
    return (
        f"By the {kind} of {finding.metric}{of} in windows of {finding.window}, {old} old, it is "
        f"{finding.direction}: {finding.value:.6g}{hour}{ends}{was}, with confidence "
        f"{finding.confidence:.2g}."
    )


def foretold(metrics: Iterable[str]) -> Iterator[str]:
    """That some values of a candidate are predicted, for whoever asks where they come from."""
    names = sorted(metrics)
    if names:
        yield (
            f"Predicted from experience, by the worse end of the range, and not expected by the "
            f"catalog: {', '.join(names)}."
        )


def _long(seconds: float) -> str:
    """A duration for people.

    >>> _long(300), _long(5400), _long(172_800)
    ('5 min', '1.5 h', '2 d')
    """
    for unit, size in (("d", 86_400), ("h", 3_600)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 60:.3g} min"
