"""A rollout as a state machine: rungs of a ladder, climbed by evidence alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from processors.actuate.evidence import Evidence, Reference, fresh_evidence
from processors.actuate.judge import Judgement
from schemas.catalog import Strategy
from schemas.config import LlmConfig
from schemas.rollout import Phase, Verdict
from schemas.scope import BUCKETS

NEXT: Mapping[Phase | None, frozenset[Phase]] = {
    # A manual change has one event: it is promoted or rolled back out of nothing.
    None: frozenset({Phase.PENDING, Phase.PROMOTED, Phase.ROLLED_BACK, Phase.REJECTED}),
    Phase.PENDING: frozenset({Phase.RAMPING, Phase.PROMOTED, Phase.ROLLED_BACK}),
    Phase.RAMPING: frozenset({Phase.RAMPING, Phase.PAUSED, Phase.PROMOTED, Phase.ROLLED_BACK}),
    Phase.PAUSED: frozenset({Phase.RAMPING, Phase.PROMOTED, Phase.ROLLED_BACK}),
    Phase.PROMOTED: frozenset(),
    Phase.ROLLED_BACK: frozenset(),
    Phase.REJECTED: frozenset(),
}
"""Phase → the phases that may follow; RAMPING follows itself from rung to rung and to hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Where one rollout stands. Times are ms of event time, shares hundredths of a percent."""

    id: str
    decision_id: str
    strategy: str  # looked up in the catalog at each step
    stable: LlmConfig  # what it is compared with, and goes back to
    candidate: LlmConfig
    salt: str
    started_at: int  # accepted; once it has traffic, since when
    entered_at: int  # the rung it stands on
    phase: Phase = Phase.PENDING
    step: int = 0  # the rung, from 1; 0: no traffic yet
    steps: int = 0
    share: int = 0
    sequence: int = 0  # of the last event
    waiting_since: int | None = None  # the dwell is over, the evidence is not there
    overdue: bool = False  # it has been said that the wait is over its limit
    quiet: bool = False  # it waits for a person in a scope that has been silent for too long
    requests: int = 0  # that the candidate served
    reference: Reference | None = None  # the pre-period; None until traffic starts
    evidence: Evidence = field(default_factory=fresh_evidence)


@dataclass(frozen=True, slots=True)
class Advance:
    """A rollout after a look at it, and the sentence to tell; "" when nothing happened."""

    rollout: Rollout
    reason: str = ""


def advance(strategy: Strategy, rollout: Rollout, judgement: Judgement, at: int) -> Advance:
    """Move by one look: down at once on FAIL, up when dwelt and judged, else hold and say so.

    The next share asks for enough samples without harm (`sampled`), the promotion for every
    required guardrail to pass (`ready`). A paused rollout is judged too, and rolled back, but
    never climbs. One that lacks evidence for `max_wait_s` after its dwell does what `when_waiting`
    says. A ladder that ends below 100 % stays on its last rung until a person ends it.

    Args:
        strategy: The ladder, as the catalog has it now.
        rollout: A rollout that takes traffic.
        judgement: Of all evidence so far.
        at: ms of event time, the end of the newest minute.

    Returns:
        The rollout one look later.
    """
    if judgement.verdict is Verdict.FAIL:
        failed = [g for g in judgement.guardrails if g.verdict is Verdict.FAIL]
        names = " and ".join(g.metric for g in failed)
        return roll_back(
            rollout, " ".join((f"Worse in {names}:", *(g.sentence for g in failed))), at
        )
    held = rollout.phase is Phase.PAUSED
    if held or at - rollout.entered_at < _hold_ms(strategy, rollout):
        return Advance(rollout)
    above = strategy.steps[rollout.step : rollout.step + 1]
    promotes = not above or above[0].share >= 1.0
    enough = judgement.ready if promotes else judgement.sampled
    if enough and above:
        return climb(strategy, rollout, at)
    return _wait(strategy, rollout, judgement, at, enough=enough)


def rest(
    strategy: Strategy, rollout: Rollout, judgement: Judgement, at: int, heard: int
) -> Advance:
    """Look at a rollout in whose scope nothing has been served: it waits, and nothing climbs.

    Silence is no evidence, so what was enough before does not lead further either. `max_wait_s`
    after it was first held, `when_waiting` says what to do, as in `advance`. One that then waits
    for a person is quiet once nothing was served for so long.

    Args:
        strategy: The ladder, as the catalog has it now.
        rollout: A rollout that takes traffic.
        judgement: Of all evidence so far; not FAIL.
        at: ms of event time, now.
        heard: ms of event time, since when nothing was served.

    Returns:
        The rollout one look later.
    """
    longest = strategy.max_wait_s * 1000
    ended = rollout.step >= len(strategy.steps) and judgement.ready
    if rollout.phase is Phase.PAUSED or rollout.overdue or ended:
        return Advance(replace(rollout, quiet=at - heard >= longest))
    if at - rollout.entered_at < _hold_ms(strategy, rollout):
        return Advance(rollout)
    where = f"at {percent(rollout.share)}"
    silence = f"no request was served in this scope for {(at - heard) // 60_000} min"
    if rollout.waiting_since is None:
        held = replace(rollout, waiting_since=at)
        return Advance(held, f"Held {where}: inconclusive, {silence}.")
    if at - rollout.waiting_since < longest:
        return Advance(rollout)
    if strategy.when_waiting == "rollback":
        return roll_back(rollout, f"Gave up {where}: inconclusive, {silence}.", at)
    return Advance(
        replace(rollout, overdue=True, quiet=at - heard >= longest),
        f"Still held {where}: inconclusive, {silence}. {by_hand(rollout.id)}",
    )


def climb(strategy: Strategy, rollout: Rollout, at: int) -> Advance:
    """Enter the next rung; a rung of 100 % is the promotion."""
    steps = len(strategy.steps)
    rung = min(rollout.step, steps - 1)
    share = round(strategy.steps[rung].share * BUCKETS)
    where = f"step {rung + 1} of {steps}"
    if share >= BUCKETS:
        return promote(
            replace(rollout, steps=steps),
            f"Passed every step of {strategy.name} before the last."
            if rung
            else f"{strategy.name} has a single step of 100 %.",
        )
    entered = replace(
        rollout,
        phase=Phase.RAMPING,
        step=rung + 1,
        steps=steps,
        share=share,
        started_at=rollout.started_at if rollout.step else at,
        entered_at=at,
        waiting_since=None,
        overdue=False,
    )
    return Advance(entered, f"The candidate serves {percent(share)}, {where} of {strategy.name}.")


def promote(rollout: Rollout, reason: str) -> Advance:
    """End it well: the candidate serves everything."""
    ended = replace(rollout, phase=Phase.PROMOTED, step=rollout.steps, share=BUCKETS)
    return Advance(ended, reason)


def roll_back(rollout: Rollout, reason: str, at: int) -> Advance:
    """End it: the stable config serves everything again. Says what it cost, if it had traffic."""
    if rollout.step > 0:
        seconds = (at - rollout.started_at) // 1000
        reason += f" {rollout.requests} requests were served by the candidate in {seconds} s."
    return Advance(replace(rollout, phase=Phase.ROLLED_BACK, share=0), reason)


def by_hand(id_: str) -> str:
    """How a person ends the rollout *id_*, one way or the other."""
    return f"Promote or abort it: `llmopt deployments promote|abort {id_}`."


def percent(share: int) -> str:
    """A share for people.

    >>> percent(500)
    '5 %'
    """
    return f"{share / 100:g} %"


def _hold_ms(strategy: Strategy, rollout: Rollout) -> int:
    """How long the present rung is held, at least; a ladder cut short holds as its last rung."""
    return strategy.steps[min(rollout.step, len(strategy.steps)) - 1].hold_s * 1000


def _wait(
    strategy: Strategy, rollout: Rollout, judgement: Judgement, at: int, *, enough: bool
) -> Advance:
    """Hold on a rung whose dwell is over; the first time, and when it gets too long, say so."""
    where = f"at {percent(rollout.share)}"
    if rollout.waiting_since is None:
        why = (
            f"{strategy.name} ends there. {by_hand(rollout.id)}"
            if enough
            else "the evidence is not conclusive yet. " + _open_questions(judgement)
        )
        return Advance(replace(rollout, waiting_since=at), f"Held {where}: {why}".rstrip())
    late = at - rollout.waiting_since >= strategy.max_wait_s * 1000
    if enough or rollout.overdue or not late:
        return Advance(rollout)
    waited = f"no conclusive evidence {where} for {strategy.max_wait_s} s after its dwell"
    if strategy.when_waiting == "rollback":
        return roll_back(rollout, f"Gave up: {waited}. {_open_questions(judgement)}".rstrip(), at)
    return Advance(
        replace(rollout, overdue=True),
        f"Still held: {waited}. {by_hand(rollout.id)} {_open_questions(judgement)}".rstrip(),
    )


def _open_questions(judgement: Judgement) -> str:
    """Why the cohorts cannot be compared, and what the guardrails that have not passed say."""
    said = [g.sentence for g in judgement.guardrails if g.verdict is not Verdict.PASS]
    return " ".join([judgement.doubt, *said] if judgement.doubt else said)
