"""What the optimizer decided: start a rollout, or take one back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from processors.actuate.admit import failure, refusal
from processors.actuate.approve import asks
from processors.actuate.cycle import conclude, go
from processors.actuate.ledger import begin_by
from processors.actuate.memory import serves
from processors.actuate.minute import begin
from processors.actuate.rollout import Advance, Rollout, ask, roll_back
from processors.actuate.state import ScopeState, silence
from processors.actuate.transition import move, refuse, return_to
from processors.actuate.turn import Cause, Turn, name
from processors.actuate.version import over, versioned
from schemas.decision import Action, Decision
from schemas.loop import LoopState
from schemas.rollout import Phase, Verdict

__all__ = ["follow", "name"]

ANSWERED = 32  # decisions of a scope whose ids are remembered


def follow(turn: Turn, scopes: Mapping[str, ScopeState], decision: Decision) -> Turn:
    """Do what *decision* asks for, or say why not; a decision that was answered is not again.

    One that comes when the scope's windows are more than `stale_s` ahead of it is an error, and
    nothing of it is applied.

    Args:
        turn: The decision's scope.
        scopes: All scopes of the task.
        decision: Of any action; only DEPLOY and ROLLBACK change anything.

    Returns:
        The turn after it.
    """
    entry = turn.entry
    if decision.id in entry.decisions:
        return turn
    answered = (*entry.decisions, decision.id)[-ANSWERED:]
    turn = turn.become(replace(entry, decisions=answered))
    # A rollout that starts in a silence must not be as old as what was heard last.
    cause = Cause(at=max(entry.at, decision.at, silence(scopes)), decision_id=decision.id)
    if decision.action not in (Action.DEPLOY, Action.ROLLBACK):
        return conclude(turn, decision, cause)
    if entry.at - decision.at > turn.policy.stale_s * 1000:
        return _too_late(turn, decision, cause)
    if decision.action is Action.DEPLOY:
        return _deploy(turn, scopes, decision, cause)
    return _take_back(turn, decision, cause)


def _deploy(turn: Turn, scopes: Mapping[str, ScopeState], decision: Decision, cause: Cause) -> Turn:
    """Accept a rollout, and give it traffic if there is a past to measure by."""
    id_ = name("r", turn.scope, decision.id)
    stable = serves(turn.entry) or decision.current
    asked = decision.chosen
    if stable is not None and asked is not None and versioned(asked) == asked:
        decision = replace(decision, chosen=over(stable, asked))
    reason = refusal(turn.policy, scopes, decision, stable, cause.at)
    chosen = decision.chosen
    if reason is not None or stable is None or chosen is None:
        return refuse(turn, id_, chosen, str(reason), cause)
    strategy = turn.policy.catalog.strategies[decision.strategy]
    rollout = Rollout(
        id=id_,
        decision_id=decision.id,
        strategy=strategy.name,
        stable=stable,
        candidate=chosen,
        salt=id_,
        started_at=cause.at,
        entered_at=cause.at,
        steps=len(strategy.steps),
        kind=strategy.kind,
    )
    said = " ".join(decision.reasons) or decision.rule
    why = asks(strategy, turn.policy.catalog.constraints_for(turn.scope), decision)
    accepted = Advance(rollout, said)
    if why is not None:
        accepted = ask(strategy, rollout, f"{said} {why}", cause.at)
    turn = turn.become(begin_by(turn.entry, strategy.name, cause.at))
    turn = go(turn, LoopState.VALIDATING, said, cause, id_)
    turn = move(turn, accepted, cause)
    return begin(turn, strategy, turn.entry.rollout or rollout, None, cause.at)


def _too_late(turn: Turn, decision: Decision, cause: Cause) -> Turn:
    """Refuse a decision whose analysis is out of date."""
    minutes = (turn.entry.at - decision.at) // 60_000
    reason = (
        f"It was decided {minutes} min ago, and nothing is applied that is older than "
        f"{turn.policy.stale_s // 60} min: the next evaluation decides anew."
    )
    id_ = name("r", turn.scope, decision.id)
    if turn.entry.cycle.state is LoopState.IDLE:
        turn = go(turn, LoopState.ERROR, reason, cause, id_)
    return refuse(turn, id_, decision.chosen, reason, cause)


def _take_back(turn: Turn, decision: Decision, cause: Cause) -> Turn:
    """End the rollout, or undo the promotion that it ended with a moment ago."""
    entry, catalog = turn.entry, turn.policy.catalog
    reason = " ".join(decision.reasons) or decision.rule
    rollout = entry.rollout
    if rollout is not None and decision.at < rollout.started_at:
        said = f"It was decided before rollout {rollout.id} began, and is not about it. {reason}"
        return refuse(turn, name("r", turn.scope, decision.id), None, said, cause)
    if rollout is not None and rollout.phase is Phase.PENDING:  # it served nobody
        ended = replace(cause, origin="rule", trigger=decision.rule)
        return move(turn, roll_back(rollout, reason, cause.at), ended)
    if rollout is not None:
        blame = failure(catalog, turn.scope, rollout.strategy, rollout.stable, rollout.candidate)
        failed = replace(cause, verdict=Verdict.FAIL, blame=blame, origin="rule")
        failed = replace(failed, trigger=decision.rule)
        return move(turn, roll_back(rollout, reason, cause.at), failed)
    id_ = name("r", turn.scope, decision.id)
    recent = (
        entry.promoted_at is not None
        and cause.at - entry.promoted_at <= turn.policy.regret_s * 1000
    )
    before = entry.previous()
    if not recent or before is None or entry.stable is None:
        return refuse(
            turn,
            id_,
            None,
            f"Nothing to take back: no rollout, no recent promotion. {reason}",
            cause,
        )
    blame = failure(catalog, turn.scope, decision.strategy, before, entry.stable)
    failed = replace(cause, verdict=Verdict.FAIL, blame=blame, origin="rule")
    failed = replace(failed, trigger=decision.rule)
    return return_to(turn, id_, before, reason, failed)
