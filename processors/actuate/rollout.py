"""A rollout: where it stands, what may follow, and how it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from processors.actuate.evidence import Evidence, Reference, fresh_evidence
from schemas.catalog import Strategy
from schemas.config import LlmConfig
from schemas.rollout import Phase
from schemas.scope import BUCKETS

NEXT: Mapping[Phase | None, frozenset[Phase]] = {
    # A manual change has one event: it is promoted or rolled back out of nothing.
    None: frozenset({Phase.PENDING, Phase.PROMOTED, Phase.ROLLED_BACK, Phase.REJECTED}),
    Phase.PENDING: frozenset({Phase.PENDING, Phase.RAMPING, Phase.PROMOTED, Phase.ROLLED_BACK}),
    Phase.RAMPING: frozenset(
        {Phase.RAMPING, Phase.PAUSED, Phase.PROMOTED, Phase.VERIFIED, Phase.ROLLED_BACK}
    ),
    Phase.PAUSED: frozenset({Phase.RAMPING, Phase.PROMOTED, Phase.ROLLED_BACK}),
    Phase.PROMOTED: frozenset(),
    Phase.VERIFIED: frozenset(),
    Phase.ROLLED_BACK: frozenset(),
    Phase.REJECTED: frozenset(),
}
"""Phase → the phases that may follow; RAMPING follows itself from rung to rung and to hold, PENDING
when it is approved."""
OVER = frozenset({Phase.PROMOTED, Phase.VERIFIED, Phase.ROLLED_BACK})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Where one rollout stands. Times are ms of event time, shares hundredths of a percent."""

    id: str
    decision_id: str
    strategy: str  # looked up in the catalog at each step
    stable: LlmConfig  # what it is compared with, and goes back to
    candidate: LlmConfig
    salt: str
    started_at: int  # accepted, or approved; once it has traffic, since when
    entered_at: int  # the rung it stands on
    kind: str = "canary"  # of its strategy when it was accepted
    phase: Phase = Phase.PENDING
    step: int = 0  # the rung, from 1; 0: no traffic yet
    steps: int = 0
    share: int = 0  # served by the candidate
    shadow: int = 0  # copied to it
    sequence: int = 0  # of the last event
    waiting_since: int | None = None  # the dwell is over, the evidence is not there
    overdue: bool = False  # it has been said that the wait is over its limit
    extended: int = 0  # waits on this rung after the first
    asks_until: int | None = None  # a person's word is waited for; then it is given up
    quiet: bool = False  # it waits for a person in a scope that has been silent for too long
    requests: int = 0  # that the candidate served
    reference: Reference | None = None  # the pre-period; None until traffic starts
    evidence: Evidence = field(default_factory=fresh_evidence)


@dataclass(frozen=True, slots=True)
class Advance:
    """A rollout after a look at it, and the sentence to tell; "" when nothing happened."""

    rollout: Rollout
    reason: str = ""


def promote(rollout: Rollout, reason: str) -> Advance:
    """End it well: the candidate serves everything."""
    ended = replace(_over(rollout, Phase.PROMOTED), step=rollout.steps, share=BUCKETS)
    return Advance(ended, reason)


def verify(rollout: Rollout, reason: str) -> Advance:
    """End a shadow well: the candidate passed, and goes on serving nobody."""
    return Advance(_over(rollout, Phase.VERIFIED), reason)


def roll_back(rollout: Rollout, reason: str, at: int) -> Advance:
    """End it: the stable config serves everything again. Says what it cost, if it had traffic."""
    if rollout.step > 0:
        seconds = (at - rollout.started_at) // 1000
        what = "copies were sent to" if rollout.shadow else "requests were served by"
        reason += f" {rollout.requests} {what} the candidate in {seconds} s."
    return Advance(_over(rollout, Phase.ROLLED_BACK), reason)


def _over(rollout: Rollout, phase: Phase) -> Rollout:
    """It has ended in *phase*: it serves nobody by itself, and asks nobody any more."""
    return replace(rollout, phase=phase, share=0, shadow=0, asks_until=None)


def by_hand(id_: str) -> str:
    """How a person ends the rollout *id_*, one way or the other."""
    return f"Promote or abort it: `llmopt deployments promote|abort {id_}`."


def unasked(rollout: Rollout) -> str:
    """That *rollout* waits for nobody's word, where it stands, and which words it takes."""
    stands = f"it is {rollout.phase.value} at {percent(rollout.share or rollout.shadow)}"
    return f"Rollout {rollout.id} does not wait for approval: {stands}. {by_hand(rollout.id)}"


def ask(strategy: Strategy, rollout: Rollout, reason: str, at: int) -> Advance:
    """Wait for a person's word, and say until when."""
    hours = strategy.approval_expires_s / 3600
    asked = f"Approve or reject it within {hours:g} h: `llmopt deployments approve {rollout.id}`."
    until = at + strategy.approval_expires_s * 1000
    return Advance(replace(rollout, asks_until=until), f"{reason} {asked}")


def unanswered(rollout: Rollout, at: int) -> Advance | None:
    """The end of a rollout that waited in vain for a person's word, None while it may wait."""
    if rollout.asks_until is None or at < rollout.asks_until:
        return None
    return roll_back(rollout, "Nobody approved or rejected it in time.", at)


def percent(share: int) -> str:
    """A share for people.

    >>> percent(500)
    '5 %'
    """
    return f"{share / 100:g} %"
