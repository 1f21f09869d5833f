"""Which config triggers watch in a minute: a rollout's candidate, else what was promoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from processors.actuate.admit import failure
from processors.actuate.ledger import HOUR, returns_of
from processors.actuate.rollout import Rollout, roll_back
from processors.actuate.state import Hold, Mode, ScopeState
from processors.actuate.transition import move, return_to
from processors.actuate.triggers.fire import Suspect, cause_of, lapse, respond, settle, urgency
from processors.actuate.triggers.look import Finding, look
from processors.actuate.triggers.say import sentence
from processors.actuate.triggers.vigil import Vigil, count, note, vigil_over
from processors.actuate.turn import OPTIMIZER, Cause, Turn, name
from schemas.config import LlmConfig
from schemas.rollout import Guardrail
from schemas.scope import BUCKETS, covering
from schemas.trigger import Trigger
from schemas.window import EnrichedWindow


def watch_candidate(
    turn: Turn,
    rollout: Rollout,
    cohorts: tuple[Sequence[EnrichedWindow], Sequence[EnrichedWindow]],
    start: int,
    guardrails: tuple[Guardrail, ...],
) -> tuple[Turn, Finding | None]:
    """Look at the minute of a rollout that has traffic; the stable cohort is its control.

    While there is a control nobody is blamed for what befalls both: an outage of the provider, a
    wave of hard questions. The stable config itself is not watched meanwhile.

    Args:
        turn: The scope at the end of the minute.
        rollout: Its rollout.
        cohorts: The candidate's rows of the minute, and the stable cohort's.
        start: Of the minute, ms.
        guardrails: What they say of all evidence so far, for the report.

    Returns:
        The turn, and the finding by which the caller takes the candidate back, or None.
    """
    candidate, stable = cohorts
    turn, vigil = observed(turn, rollout, candidate)
    vigil = note(vigil, guardrails, turn.entry.at)
    triggers = _declared(turn)
    turn, vigil = lapse(turn, vigil)
    vigil, findings = _look_all(vigil, triggers, start, candidate, stable, None)
    suspect = Suspect(
        config=rollout.candidate,
        target=rollout.stable,
        rollout_id=rollout.id,
        decision_id=rollout.decision_id,
        share=rollout.share,
        guardrails=guardrails,
    )
    turn, vigil, finding = respond(turn, vigil, findings, suspect, None)
    return turn.become(replace(turn.entry, vigil=vigil)), finding


def observed(
    turn: Turn, rollout: Rollout, candidate: Sequence[EnrichedWindow]
) -> tuple[Turn, Vigil]:
    """The vigil over the *candidate*, with its rows counted; one over another config ends."""
    if turn.entry.vigil is not None and turn.entry.vigil.subject != rollout.id:
        turn = settle(turn, OPTIMIZER)
    vigil = vigil_over(turn.entry.vigil, rollout.id, rollout.started_at)
    return turn, count(vigil, candidate)


def watch_stable(
    turn: Turn, rows: Sequence[EnrichedWindow], start: int, hold: Hold | None, returning: int
) -> Turn:
    """Look at the minute of a config that a rollout ended with, and take it back if need be.

    It is compared with the scope as it was before that rollout. A config that a person set is not
    watched, nor one without a past, for then nobody knows what it changed.

    Args:
        turn: The scope at the end of the minute, without a rollout that has traffic.
        rows: Its rows of the minute.
        start: Of the minute, ms.
        hold: What holds the scope, or None.
        returning: How many triggers' returns are under way in the task.

    Returns:
        The turn after it.
    """
    entry = turn.entry
    stable, since, before = entry.stable, entry.promoted_at, entry.before
    triggers = [t for t in _declared(turn) if t.extent == "whole" and _within(turn, t)]
    asked = entry.vigil is not None and entry.vigil.question is not None
    watched = bool(triggers) or asked  # a question outlives the time in which it was asked
    if stable is None or since is None or before is None or not watched:
        return settle(turn, OPTIMIZER)
    mine = [row for row in rows if row.window.config_version == stable.version]
    if start < since + turn.policy.settle_s * 1000:
        mine = []
    vigil = count(vigil_over(entry.vigil, stable.version, since), mine)
    turn, vigil = lapse(turn, vigil)
    vigil, findings = _look_all(vigil, triggers, start, mine, (), before)
    barred = _barred(turn, hold, returning)
    for finding in findings:
        suspect = Suspect(config=stable, target=_target(entry, finding.trigger), share=BUCKETS)
        turn, vigil, acts = respond(turn, vigil, [finding], suspect, barred)
        if acts is not None and suspect.target is not None:
            turn = turn.become(replace(turn.entry, vigil=vigil))
            said = sentence(finding, None)
            id_ = name("t", turn.scope, f"{finding.trigger.id}|{turn.entry.at}")
            cause = cause_of(finding, turn.entry.at, suspect)
            return give_back(turn, id_, suspect.target, said, cause)
    return turn.become(replace(turn.entry, vigil=vigil))


def give_back(turn: Turn, id_: str, target: LlmConfig, said: str, cause: Cause) -> Turn:
    """Return the scope to *target*; what was promoted is to blame, a pending rollout is not."""
    entry = turn.entry
    if entry.stable is None:  # pragma: no cover  # only a promoted config is watched
        return turn
    if entry.rollout is not None:
        ended = roll_back(entry.rollout, f"What it was to follow is taken back. {said}", cause.at)
        turn = move(turn, ended, Cause(at=cause.at))
        turn = turn.become(replace(turn.entry, vigil=entry.vigil))
    blame = failure(turn.policy.catalog, turn.scope, "", target, entry.stable)
    turn = replace(turn.become(noted(turn.entry, cause.at)), returned_at=cause.at)
    return return_to(turn, id_, target, said, replace(cause, blame=blame))


def count_return(task: ScopeState, turn: Turn) -> ScopeState:
    """Note in the task's own entry when a trigger took the stable config of a *turn* back.

    A candidate that was served to everybody is none: it goes back at any time, without a limit.
    """
    return task if turn.returned_at is None else noted(task, turn.returned_at)


def noted(entry: ScopeState, at: int) -> ScopeState:
    """The entry with one more return."""
    return replace(entry, returned_at=(*returns_of(entry, at), at))


def under_return(task: ScopeState, at: int, settle_ms: int) -> int:
    """How many triggers' returns are so young that they are not in force everywhere."""
    return sum(at - then < settle_ms for then in task.returned_at)


def _look_all(
    vigil: Vigil,
    triggers: Sequence[Trigger],
    start: int,
    suspect: Sequence[EnrichedWindow],
    other: Sequence[EnrichedWindow],
    before: EnrichedWindow | None,
) -> tuple[Vigil, list[Finding]]:
    watches, findings = {}, []
    for trigger in triggers:
        watches[trigger.id], found = look(trigger, vigil, start, suspect, other, before)
        findings += [] if found is None else [found]
    return replace(vigil, watches=watches), findings


def _declared(turn: Turn) -> list[Trigger]:
    """The triggers of the scope that are enabled, the most severe first."""
    names = set(covering(turn.scope))
    found = [
        trigger
        for trigger in turn.policy.catalog.triggers.values()
        if trigger.enabled and not names.isdisjoint(trigger.scopes)
    ]
    return sorted(found, key=urgency)


def _within(turn: Turn, trigger: Trigger) -> bool:
    """Whether a trigger still watches what was promoted."""
    since = turn.entry.promoted_at
    lasting = trigger.within == "changed"
    return since is not None and (lasting or turn.entry.at - since <= turn.policy.regret_s * 1000)


def _target(entry: ScopeState, trigger: Trigger) -> LlmConfig | None:
    """What would be served instead; None when it is not another config that was stable here."""
    found = entry.previous() if trigger.target == "previous" else entry.named(trigger.target)
    return None if found == entry.stable else found


def _barred(turn: Turn, hold: Hold | None, returning: int) -> str | None:
    """Why triggers may not take the stable config back now; None when they may."""
    limits = turn.policy.catalog.constraints_for(turn.scope)
    often = sum(turn.entry.at - then < HOUR for then in turn.entry.returned_at)
    if hold is not None and hold.mode is Mode.STOPPED:
        return f"It stays: stopped by {hold.by}, so that nothing is changed until it is resumed."
    if often >= limits.max_returns_per_hour:
        return (
            f"It stays: triggers took this scope back {often} times within an hour, and "
            f"max_returns_per_hour is {limits.max_returns_per_hour}: `llmopt config rollback` does."
        )
    if returning >= turn.policy.max_returns:
        return (
            f"It waits: {returning} scopes of this partition are being taken back at this moment, "
            f"and its part of max_returns is {turn.policy.max_returns}."
        )
    return None
