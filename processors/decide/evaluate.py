"""The rules of a scope, most urgent first, on its newest closed minute."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from hashlib import blake2b

from processors.decide.choose import Aim, Choice, choose, current_of
from processors.decide.condition import comparisons, holds, rules_for, sightings
from processors.decide.constrain import operational
from processors.decide.mix import Mix, mix_of
from processors.decide.policy import DecidePolicy
from processors.decide.state import Asked, Change, Fired, ScopeState
from processors.decide.wording import because, findings
from schemas.catalog import Condition, Rule, Strategy
from schemas.decision import Action, Decision

DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Turn:
    """One evaluation as it goes on."""

    policy: DecidePolicy
    state: ScopeState
    at: int  # ms of event time
    asked_by: str = ""  # the id of a command: cooldowns do not hold it back
    decisions: tuple[Decision, ...] = ()


def evaluate(
    policy: DecidePolicy, state: ScopeState, counts: Counter[str]
) -> tuple[ScopeState, tuple[Decision, ...]]:
    """Evaluate every rule that is due: the flow from triggers to decisions of one minute.

    Disabled rules and other scopes' are dropped, cooldowns (event time) and daily maxima checked,
    then conditions evaluated in order of priority. A rollout that is asked for or taken back ends
    the evaluation, and so does any effect of a critical rule; alerts do not.
    """
    turn = Turn(policy, state, state.newest)
    for rule in rules_for(policy, state.scope):
        if not _due(turn, rule):
            counts["rule.cooling"] += 1
            continue
        if holds(policy, turn.state, rule.when) is not True:
            continue
        counts["rule.matched"] += 1
        turn, decision = _act(turn, rule)
        if decision is not None and _ends(rule, decision):
            break
    return turn.state, turn.decisions


def trigger(
    policy: DecidePolicy, state: ScopeState, command: str, by: str, at: int
) -> tuple[ScopeState, tuple[Decision, ...]]:
    """Evaluate now because a person asked: cooldowns are passed over, and there is an answer.

    When no rule does anything, a cheaper model is looked for by the policy's own strategy.
    """
    turn = Turn(policy, state, max(state.newest, 0) or at, asked_by=command)
    for rule in rules_for(policy, state.scope):
        if holds(policy, turn.state, rule.when) is True:
            turn, decision = _act(turn, rule)
            if decision is not None and _ends(rule, decision):
                return turn.state, turn.decisions
    asked = Rule(
        id="trigger",
        name=f"asked for by {by}",
        priority="high",
        then="cheaper_model",
        strategy=policy.strategy,
    )
    turn, _ = _act(turn, asked)
    return turn.state, turn.decisions


def _ends(rule: Rule, decision: Decision) -> bool:
    changed = decision.action in (Action.DEPLOY, Action.ROLLBACK)
    return changed or (rule.priority == "critical" and decision.action is Action.ALERT)


def _due(turn: Turn, rule: Rule) -> bool:
    fired = turn.state.fired.get(rule.id, Fired())
    if fired.at is not None and turn.at - fired.at < rule.cooldown_s * 1000:
        return False
    return fired.day != turn.at // DAY_MS or fired.times < rule.max_per_day


def _act(turn: Turn, rule: Rule) -> tuple[Turn, Decision | None]:
    """What the rule asks for, as far as it can be done; None when there is nothing to record."""
    busy = _busy(turn)
    if rule.then == "rollback":
        return _take_back(turn, rule)
    if rule.then == "alert":
        return _alert(turn, rule, "It asks for a person to look.")
    if busy:
        if not turn.asked_by:
            return turn, None  # one change at a time; its guardrails watch it
        return _record(turn, rule, Action.NONE, Choice(current=None, reasons=(busy,)))
    return _change(turn, rule)


def _busy(turn: Turn) -> str:
    """Why the scope cannot take another change now; "" when it can."""
    state = turn.state
    if state.active is not None:
        return f"Rollout {state.active} is active here."
    if _pending(turn, Action.DEPLOY):
        return f"Decision {state.asked.id if state.asked else ''} is being carried out."
    return ""


def _pending(turn: Turn, action: Action) -> bool:
    asked = turn.state.asked
    fresh = asked is not None and turn.at - asked.at < turn.policy.pending_s * 1000
    return fresh and asked is not None and asked.action is action


def _take_back(turn: Turn, rule: Rule) -> tuple[Turn, Decision | None]:
    state = turn.state
    if _pending(turn, Action.ROLLBACK):
        return turn, None
    promoted = state.promoted_at
    recent = promoted is not None and turn.at - promoted <= turn.policy.regret_s * 1000
    if not _busy(turn) and not recent:
        return _alert(turn, rule, "There is no rollout to take back: a person should look.")
    what = _busy(turn) or "The last rollout was promoted a moment ago."
    choice = Choice(current=current_of(mix_of(state)), confidence=1.0, reasons=(what,))
    return _record(turn, rule, Action.ROLLBACK, choice)


def _alert(turn: Turn, rule: Rule, reason: str) -> tuple[Turn, Decision | None]:
    """Tell a person, though never more often than every `quiet_s`."""
    fired = turn.state.fired.get(rule.id, Fired())
    if fired.at is not None and turn.at - fired.at < turn.policy.quiet_s * 1000:
        return turn, None
    choice = Choice(current=current_of(mix_of(turn.state)), confidence=1.0, reasons=(reason,))
    return _record(turn, rule, Action.ALERT, choice)


def _change(turn: Turn, rule: Rule) -> tuple[Turn, Decision | None]:
    policy, state = turn.policy, turn.state
    mix = mix_of(state)
    strategy = policy.catalog.strategies.get(rule.strategy)
    limits = policy.catalog.constraints_for(state.scope)
    held = operational(policy, state, limits, turn.at)
    if strategy is None:
        reason = f"Strategy {rule.strategy!r} is not in the catalog: declare it, or name another."
        choice = Choice(current=current_of(mix), reasons=(reason,))
    elif held:
        reasons = ("A change is held back.", *(violation.explanation for violation in held))
        choice = Choice(current=current_of(mix), violations=held, reasons=reasons)
    elif rule.then in ("cheaper_model", "faster_model", "failover"):
        choice = _chosen(turn, mix, rule.then, strategy)
    else:  # pragma: no cover  # the other actions never get here
        raise ValueError(f"{rule.then} is no change of the model")
    return _record(turn, rule, Action.NONE if choice.chosen is None else Action.DEPLOY, choice)


def _chosen(turn: Turn, mix: Mix, aim: Aim, strategy: Strategy) -> Choice:
    """The choice; when it fails nothing is changed, and the decision says so.

    The rules below go on: a rule that rolls back or alerts needs no choice.
    """
    try:
        return choose(turn.policy, turn.state, mix, aim, strategy, at=turn.at)
    except Exception as error:  # noqa: BLE001  # whatever is wrong with it, guardrails must go on
        why = f"The choice of a model failed ({type(error).__name__}: {error})"
        return Choice(current=current_of(mix), reasons=(f"{why}, so nothing is changed.",))


def _record(turn: Turn, rule: Rule, action: Action, choice: Choice) -> tuple[Turn, Decision | None]:
    """Write the decision down and remember it; a repeated finding without effect is neither."""
    fired = turn.state.fired.get(rule.id, Fired())
    quiet = max(rule.cooldown_s, turn.policy.quiet_s) * 1000
    held_by = ", ".join(violation.constraint for violation in choice.violations)
    noted = fired.noted_at is not None and turn.at - fired.noted_at < quiet
    noted = noted and held_by == fired.noted
    if action is Action.NONE and noted and not turn.asked_by:
        return turn, None
    decision = _decision(turn, rule, action, choice)
    if action is Action.NONE:
        fired = fired._replace(noted_at=turn.at, noted=held_by)
    else:
        today = fired.times if fired.day == turn.at // DAY_MS else 0
        fired = Fired(turn.at, turn.at // DAY_MS, today + 1)
    known = {*turn.policy.catalog.rules, rule.id}
    state = replace(
        turn.state,
        fired={id_: f for id_, f in turn.state.fired.items() if id_ in known} | {rule.id: fired},
    )
    if action in (Action.DEPLOY, Action.ROLLBACK):
        state = replace(state, asked=Asked(decision.id, turn.at, action))
    if action is Action.DEPLOY:
        state = replace(state, changes=(*state.changes, Change(turn.at, decision.id)))
    return replace(turn, state=state, decisions=(*turn.decisions, decision)), decision


def _decision(turn: Turn, rule: Rule, action: Action, choice: Choice) -> Decision:
    state, mix = turn.state, mix_of(turn.state)
    seen = sightings(turn.policy, state, rule.when)
    origin = "|".join((state.scope, rule.id, str(turn.at), *filter(None, (turn.asked_by,))))
    return Decision(
        id=blake2b(origin.encode(), digest_size=12).hexdigest(),
        scope=state.scope,
        at=turn.at,
        rule=rule.id,
        priority=rule.priority,
        action=action,
        strategy=rule.strategy if action is Action.DEPLOY else "",
        current=choice.current or current_of(mix),
        chosen=None if choice.chosen is None else choice.chosen.config,
        confidence=choice.confidence,
        propensity=1.0,
        policy=turn.policy.catalog.checksum,
        impact_usd_per_day=choice.impact,
        observed=mix.observed() | _newest(state, rule.when),
        inputs=(*mix.records, *sorted({*seen, *choice.predictions})),
        candidates=choice.candidates,
        violations=choice.violations,
        reasons=(because(rule), *findings(state, seen), *choice.reasons),
    )


def _newest(state: ScopeState, condition: Condition) -> dict[str, float]:
    """What the rule saw in the newest minute, as "newest.<metric>"."""
    if not state.minutes:
        return {}
    metrics = {leaf.metric for leaf in comparisons(condition) if leaf.metric is not None}
    values = {metric: state.minutes[-1].reading(metric) for metric in sorted(metrics)}
    return {f"newest.{metric}": value for metric, value in values.items() if value is not None}
