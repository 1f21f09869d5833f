"""A look into an open minute: a candidate that is clearly worse need not wait for its end."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.admit import failure
from processors.actuate.critical import CHANCE, critical
from processors.actuate.evidence import observe
from processors.actuate.judge import judge
from processors.actuate.minute import arms, served, strategy_of
from processors.actuate.rollout import Advance, Rollout, roll_back
from processors.actuate.state import ScopeState
from processors.actuate.transition import move
from processors.actuate.triggers.vigil import note
from processors.actuate.triggers.watch import observed
from processors.actuate.turn import Cause, Turn
from schemas.catalog import Strategy
from schemas.rollout import Guardrail, Phase, Verdict
from schemas.scope import murmur3
from schemas.window import EnrichedWindow

RARELY = CHANCE / 10  # five looks of a minute together cost half of what its end does
Rows = tuple[EnrichedWindow, ...]


def keep(entry: ScopeState, row: EnrichedWindow) -> ScopeState:
    """Keep an open row of a cohort until the pooled row of the same look comes."""
    rollout = entry.rollout
    tried = rollout is not None and rollout.phase is not Phase.PENDING
    if not tried or not row.window.cohort or row.window.start < entry.at:
        return entry
    return replace(entry, rows=(*entry.rows, row))


def peek(turn: Turn, pooled: EnrichedWindow) -> Turn:
    """Take a candidate back whose errors prove it worse before its minute is over.

    Only a failure is acted upon, and nothing of the minute is kept: at its end it is judged whole.
    Of the guardrails only that of the errors is looked at, and only where requests name their
    unit. Its e-value is never above that of the buckets by whose unit failed first in each, which
    is a test martingale from one failing bucket to the next, so that stopping between two minutes'
    ends is stopping at a stopping time; a bucket that a look counts for the candidate, and in which
    the stable arm fails later, is the stable arm's at the minute's end. Scores and costs are paired
    within the whole minute; pairs of half of it would be others.

    Args:
        turn: The scope, with the open rows of the look kept.
        pooled: The open pooled row, which comes last.

    Returns:
        The turn after it.

    References:
        M. Lindon, A. Malek, Anytime-valid inference for multinomial count data, NeurIPS 2022.
    """
    rows = tuple(row for row in turn.entry.rows if not row.window.closed)
    turn = turn.become(
        replace(turn.entry, rows=tuple(row for row in turn.entry.rows if row.window.closed))
    )
    rollout = turn.entry.rollout
    if rollout is None or rollout.share == 0 or pooled.window.start < turn.entry.at:
        return turn
    strategy = strategy_of(turn, rollout)
    if isinstance(strategy, str):
        return turn  # its minute will say so
    stable = tuple(row for row in rows if served(row, ("stable",), rollout.stable.version))
    candidate = tuple(row for row in rows if served(row, ("candidate",), rollout.candidate.version))
    settled = pooled.window.start >= rollout.entered_at + turn.policy.settle_s * 1000
    compared = (tuple(arms(rollout, stable)), tuple(arms(rollout, candidate)))
    failed = _failed(turn, strategy, rollout, *compared) if settled else None
    alarm = net = critical(turn.policy, stable, candidate, RARELY)
    if alarm is None and failed is not None:
        alarm = f"Worse in {failed.metric}, within the minute: {failed.sentence}"
    if alarm is None:
        return turn
    at = pooled.window.watermark
    requests = sum(row.window.requests for row in candidate)
    advance: Advance = roll_back(replace(rollout, requests=rollout.requests + requests), alarm, at)
    guardrails = () if failed is None else (failed,)
    cause = Cause(
        at=at,
        verdict=Verdict.FAIL,
        guardrails=guardrails,
        blame=failure(
            turn.policy.catalog, turn.scope, rollout.strategy, rollout.stable, rollout.candidate
        ),
    )
    if net is not None:
        start = pooled.window.start
        cause = replace(cause, origin="trigger", trigger="critical")
        cause = replace(cause, first_bad_at=start, affected=requests)
    turn, vigil = observed(turn, rollout, candidate)
    vigil = note(vigil, guardrails, at)
    return move(turn.become(replace(turn.entry, vigil=vigil)), advance, cause)


def _failed(
    turn: Turn, strategy: Strategy, rollout: Rollout, stable: Rows, candidate: Rows
) -> Guardrail | None:
    """The guardrail of the errors, if it fails with what the open minute has so far."""
    named = any(row.window.error_units for row in (*stable, *candidate))
    if rollout.reference is None or not named:
        return None
    evidence = observe(
        rollout.evidence,
        stable,
        candidate,
        rollout.share,
        rollout.reference,
        murmur3(f"{turn.scope}:{turn.entry.at}".encode()),
    )
    return next(
        (
            each
            for each in judge(strategy, evidence).guardrails
            if each.metric == "errors" and each.verdict is Verdict.FAIL
        ),
        None,
    )
