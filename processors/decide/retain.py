"""Which insights of a scope are remembered: those that a rule or a choice may ask for."""

from __future__ import annotations

from dataclasses import replace

from processors.decide.condition import applies, leaves, rules_for
from processors.decide.insights import fresh
from processors.decide.policy import DecidePolicy
from processors.decide.predict import FORETOLD
from processors.decide.state import Finding, ScopeState
from schemas.conditions import insight_of
from schemas.insight import Insight, InsightKind

KEPT = 16  # change points, forecasts or baselines of one metric and window
KEPT_MODELS = 64  # models that one metric is predicted for
Sort = tuple[str, str, str]  # kind, metric, and the window; of a prediction the model


def retain(policy: DecidePolicy, state: ScopeState, insight: Insight) -> ScopeState:
    """A new insight, another revision of one, or that an earlier one no longer holds.

    A withdrawn one is kept as such, so that no revision before it counts again. A revision that is
    no higher than the known one is left out while that one still tells; after that whoever writes
    them may have begun to count anew. What nothing asks for any more is forgotten.
    """
    asked = _asked(policy, state.scope)
    found = {id_: each for id_, each in state.findings.items() if _sort(each) in asked}
    finding = _finding(insight)
    known = found.get(insight.id)
    late = known is not None and insight.revision <= known.revision
    if _sort(finding) in asked and not (late and known and fresh(policy, state.newest, known)):
        found[insight.id] = finding
        alike = [id_ for id_, each in found.items() if _room(each) == _room(finding)]
        if len(alike) > (KEPT_MODELS if finding.kind == InsightKind.PREDICTION else KEPT):
            del found[min(alike, key=lambda id_: (found[id_].at, found[id_].end, id_))]
    return state if found == state.findings else replace(state, findings=found)


def _asked(policy: DecidePolicy, scope: str) -> set[Sort]:
    """What the rules of a scope ask for, and what a choice among its models would."""
    sorts: set[Sort] = set()
    for rule in rules_for(policy, scope):
        for leaf in leaves(rule.when):
            wanted = insight_of(leaf)
            if wanted is not None:
                sorts.add((*wanted, leaf.model or leaf.window))
    return sorts | {
        (InsightKind.PREDICTION, metric, name)
        for name, model in policy.catalog.models.items()
        if model.enabled and applies(model.scopes, scope)
        for metric in FORETOLD
    }


def _sort(finding: Finding) -> Sort:
    predicts = finding.kind == InsightKind.PREDICTION
    return finding.kind, finding.metric, finding.subject if predicts else finding.window


def _room(finding: Finding) -> Sort:
    """What shares a limit."""
    predicts = finding.kind == InsightKind.PREDICTION
    return finding.kind, finding.metric, "" if predicts else finding.window


def _finding(insight: Insight) -> Finding:
    return Finding(
        kind=insight.kind.value,
        metric=insight.metric,
        window=insight.window,
        subject=insight.subject,
        revision=insight.revision,
        holds=insight.holds,
        end=insight.end,
        at=insight.at,
        direction=insight.direction,
        value=insight.value,
        reference=insight.reference,
        low=insight.low,
        high=insight.high,
        relative=insight.relative,
        p=insight.p,
        confidence=insight.confidence,
    )
