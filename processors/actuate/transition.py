"""From one phase to the next: the state, the config and the event change together."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.cycle import go
from processors.actuate.ledger import adopt, adopt_served, blame, count_change, set_back
from processors.actuate.memory import serves
from processors.actuate.report import overstayed, report
from processors.actuate.rollout import OVER, Advance, Rollout
from processors.actuate.state import ScopeState
from processors.actuate.triggers.fire import settle
from processors.actuate.triggers.vigil import Vigil
from processors.actuate.turn import Cause, Turn
from processors.actuate.version import model_key
from schemas.config import LlmConfig
from schemas.loop import LoopState
from schemas.rollout import Deployment, Phase
from schemas.scope import BUCKETS


def move(turn: Turn, advance: Advance, cause: Cause) -> Turn:
    """Take over a rollout after a look at it.

    The config is written when the share changes, the event when there is a sentence to tell. With
    its first share the rollout makes what served before the stable config of the scope.
    """
    after, before = advance.rollout, turn.entry.rollout
    if not advance.reason:
        return turn.become(replace(turn.entry, rollout=after))
    after = replace(after, sequence=after.sequence + 1)
    split = (0, 0) if before is None else (before.share, before.shadow)
    entry, at, by = turn.entry, cause.at, cause.by
    if (before is None or before.step == 0) and after.step > 0:
        entry = count_change(adopt(entry, after.stable, at, by), at)
    if after.phase is Phase.PROMOTED:
        entry = adopt(entry, after.candidate, at, by)
        entry = replace(entry, rollout=None, promoted_at=at, before=entry.past)
    elif after.phase in OVER:
        blamed = cause.blame if after.phase is Phase.ROLLED_BACK else None
        entry = replace(blame(entry, blamed, at), rollout=None)
        vain = after.phase is Phase.ROLLED_BACK and any(split) and overstayed(cause)
        entry = set_back(entry, at) if vain else entry
    else:
        entry = replace(entry, rollout=after)
    cause = replace(cause, decision_id=after.decision_id)
    turn = go(turn.become(entry), _place(turn, after), advance.reason, cause, after.id)
    if split != (after.share, after.shadow) or after.phase is Phase.PROMOTED:
        turn = turn.write(advance.reason, cause)
    event = replace(
        _event(turn, after.id, after.phase, advance.reason, cause),
        sequence=after.sequence,
        previous=None if before is None else before.phase,
        step=after.step,
        steps=after.steps,
        share=after.share,
        strategy=after.strategy,
        shadow=after.shadow,
        asks_until=after.asks_until,
        blamed=after.phase is Phase.ROLLED_BACK and cause.blame is not None,
    )
    turn = turn.tell(_named(event, stable=after.stable, candidate=after.candidate))
    if after.phase is Phase.ROLLED_BACK and any(split):
        sides = after.candidate, after.stable
        turn = turn.tell(
            report(
                turn,
                after.id,
                advance.reason,
                cause,
                share=split[0],
                sides=sides,
                subject=after.id,
            )
        )
    if after.phase in OVER:
        turn = settle(turn, by)
        if after.phase is Phase.PROMOTED:
            vigil = Vigil(subject=after.candidate.version, since=at)
            turn = turn.become(replace(turn.entry, vigil=vigil))
        turn = go(turn, LoopState.IDLE, advance.reason, cause, after.id)
    return turn


def _place(turn: Turn, after: Rollout) -> LoopState:
    """Where in the control loop a scope is with this rollout; for its end, on the way there."""
    if after.phase is Phase.PENDING:
        return LoopState.DEPLOYING if after.asks_until is None else LoopState.VALIDATING
    if after.phase is not Phase.ROLLED_BACK:
        return LoopState.MONITORING
    waited = turn.entry.cycle.state is LoopState.VALIDATING
    return LoopState.IDLE if waited else LoopState.ROLLING_BACK


def serve(turn: Turn, id_: str, config: LlmConfig, reason: str, cause: Cause) -> Turn:
    """Give everybody a new config at once: a promotion with an empty ladder."""
    before = serves(turn.entry)
    entry = adopt(adopt_served(turn.entry, cause.at, cause.by), config, cause.at, cause.by)
    entry = count_change(replace(entry, promoted_at=None, before=None), cause.at)
    turn = settle(turn.become(entry), cause.by)
    turn = go(turn, LoopState.MONITORING, reason, cause, id_).write(reason, cause)
    event = replace(_event(turn, id_, Phase.PROMOTED, reason, cause), share=BUCKETS)
    turn = turn.tell(_named(event, stable=before, candidate=config))
    return go(turn, LoopState.IDLE, reason, cause, id_)


def return_to(turn: Turn, id_: str, config: LlmConfig, reason: str, cause: Cause) -> Turn:
    """Give everybody an earlier config at once; its place in the history stays as it was."""
    return _leave(turn, id_, blame(turn.entry, cause.blame, cause.at), config, reason, cause)


def withdraw(turn: Turn, id_: str, reason: str, cause: Cause) -> Turn:
    """Leave a scope without a config: a wider one's serves it, else what applications bring along.

    The config that says so is empty, since revisions must go on rising. Who serves the scope now is
    learned anew.
    """
    entry = replace(turn.entry, serving=(), tally=(), past=None)
    return _leave(turn, id_, entry, None, reason, cause)


def _leave(
    turn: Turn, id_: str, entry: ScopeState, config: LlmConfig | None, reason: str, cause: Cause
) -> Turn:
    """Take the stable config from everybody at once, for *config* or for none, and report it."""
    left = turn.entry.stable
    entry = replace(entry, stable=config, promoted_at=None, before=None)
    turn = turn.become(count_change(entry, cause.at))
    turn = go(turn, LoopState.ROLLING_BACK, reason, cause, id_).write(reason, cause)
    event = _event(turn, id_, Phase.ROLLED_BACK, reason, cause)
    event = replace(event, blamed=cause.blame is not None)
    turn = turn.tell(_named(event, stable=config, candidate=left))
    subject = None if left is None else left.version
    sides = left, config
    turn = turn.tell(report(turn, id_, reason, cause, share=BUCKETS, sides=sides, subject=subject))
    return go(settle(turn, cause.by), LoopState.IDLE, reason, cause, id_)


def refuse(turn: Turn, id_: str, candidate: LlmConfig | None, reason: str, cause: Cause) -> Turn:
    """Tell why something was not started; what is under way in the scope goes on."""
    if turn.entry.cycle.state is LoopState.IDLE:
        turn = go(turn, LoopState.VALIDATING, reason, cause, id_)
    event = _event(turn, id_, Phase.REJECTED, reason, cause)
    turn = turn.tell(_named(event, stable=turn.entry.stable, candidate=candidate))
    if turn.entry.rollout is None:
        turn = go(turn, LoopState.IDLE, reason, cause, id_)
    return turn


def _event(turn: Turn, id_: str, phase: Phase, reason: str, cause: Cause) -> Deployment:
    """An event that stands alone."""
    return Deployment(
        id=id_,
        scope=turn.scope,
        revision=turn.entry.revision,
        sequence=1,
        at=cause.at,
        phase=phase,
        previous=None,
        step=0,
        steps=0,
        share=0,
        verdict=cause.verdict,
        guardrails=cause.guardrails,
        reason=reason,
        by=cause.by,
        decision_id=cause.decision_id,
        stable_version=None,
        candidate_version=None,
        stable_model=None,
        candidate_model=None,
    )


def _named(
    event: Deployment, *, stable: LlmConfig | None, candidate: LlmConfig | None
) -> Deployment:
    """The event with the names of both configs."""
    return replace(
        event,
        stable_version=None if stable is None else stable.version,
        candidate_version=None if candidate is None else candidate.version,
        stable_model=None if stable is None else model_key(stable),
        candidate_model=None if candidate is None else model_key(candidate),
    )
