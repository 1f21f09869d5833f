"""A scope's minute is complete: look at its rollout."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.admit import failure, unusable
from processors.actuate.critical import critical
from processors.actuate.evidence import observe, reference
from processors.actuate.informed import informed
from processors.actuate.judge import judge
from processors.actuate.memory import complete
from processors.actuate.rollout import Rollout, advance, climb, roll_back
from processors.actuate.state import Hold
from processors.actuate.transition import move
from processors.actuate.turn import Cause, Turn
from schemas.catalog import Strategy
from schemas.rollout import Phase, Verdict
from schemas.scope import murmur3
from schemas.window import EnrichedWindow


def pass_minute(turn: Turn, pooled: EnrichedWindow, hold: Hold | None) -> Turn:
    """Judge the rollout by the minute that *pooled* completes, and move it.

    A minute is judged once, when it is complete. A later revision of it adds nothing to the
    evidence: e-values are products over what was seen when it was seen, a minute that entered
    twice would count twice, and taking out and putting in again after having looked would let the
    lateness of events, which a bad candidate can cause, choose the sample. Late events of the
    grace are few, and missing ones are missing in both cohorts.

    Args:
        turn: The scope, with the rows of the minute remembered.
        pooled: The pooled one-minute row.
        hold: What holds the scope, or None.

    Returns:
        The turn after it.
    """
    window, rows, rollout = pooled.window, turn.entry.rows, turn.entry.rollout
    if window.start < turn.entry.at:
        return turn  # a revision
    turn = turn.become(complete(turn.entry, window.end))
    if rollout is None:
        return turn
    strategy = strategy_of(turn, rollout)
    if isinstance(strategy, str):
        return move(turn, roll_back(rollout, strategy, window.end), Cause(at=window.end))
    rollout = replace(rollout, quiet=False)
    if rollout.phase is Phase.PENDING:
        return begin(turn, strategy, rollout, hold, window.end)
    return _look(turn, strategy, rollout, rows, window.start)


def strategy_of(turn: Turn, rollout: Rollout) -> Strategy | str:
    """The ladder that a rollout is on, or the sentence that says why it cannot go on."""
    strategy = turn.policy.catalog.strategies.get(rollout.strategy)
    if strategy is None or not strategy.steps:
        return f"Strategy {rollout.strategy!r} is no longer in the catalog."
    return unusable(turn.policy.catalog, turn.scope, rollout.candidate) or strategy


def begin(turn: Turn, strategy: Strategy, rollout: Rollout, hold: Hold | None, at: int) -> Turn:
    """Give a pending rollout its first traffic once there is a past to measure by."""
    cause = Cause(at=at)
    if hold is not None:
        return turn
    past = turn.entry.past
    if past is not None:
        return move(
            turn, climb(strategy, replace(rollout, reference=reference((past,))), at), cause
        )
    return give_up(turn, strategy, rollout, at)


def give_up(turn: Turn, strategy: Strategy, rollout: Rollout, at: int) -> Turn:
    """End a rollout that has waited too long for a past to measure by."""
    if at - rollout.started_at < strategy.max_wait_s * 1000:
        return turn.become(replace(turn.entry, rollout=rollout))
    reason = f"No traffic to measure by within {strategy.max_wait_s} s: nothing was started."
    return move(turn, roll_back(rollout, reason, at), Cause(at=at))


def _look(
    turn: Turn,
    strategy: Strategy,
    rollout: Rollout,
    rows: tuple[EnrichedWindow, ...],
    start: int,
) -> Turn:
    """Add a minute's cohorts to the evidence, judge all of it, and do what follows."""
    at = turn.entry.at
    stable = [row for row in rows if _served(row, "stable", rollout.stable.version)]
    candidate = [row for row in rows if _served(row, "candidate", rollout.candidate.version)]
    requests = sum(row.window.requests for row in candidate)
    rollout = replace(rollout, requests=rollout.requests + requests)
    settled = start >= rollout.entered_at + turn.policy.settle_s * 1000
    if settled and rollout.reference is not None and (stable or candidate):
        evidence = observe(
            rollout.evidence,
            stable,
            candidate,
            rollout.share,
            rollout.reference,
            murmur3(f"{turn.scope}:{start}".encode()),
            _progress(strategy, rollout, at),
        )
        rollout = replace(rollout, evidence=evidence)
    judgement = judge(strategy, rollout.evidence)
    alarm = critical(turn.policy, stable, candidate)
    cause = Cause(
        at=at,
        verdict=judgement.verdict if alarm is None else Verdict.FAIL,
        guardrails=informed(judgement.guardrails, rollout.evidence),
        blame=failure(
            turn.policy.catalog, turn.scope, rollout.strategy, rollout.stable, rollout.candidate
        ),
    )
    if alarm is not None:
        return move(turn, roll_back(rollout, alarm, at), cause)
    return move(turn, advance(strategy, rollout, judgement, at), cause)


def _served(row: EnrichedWindow, cohort: str, version: str) -> bool:
    """Whether a row is of this cohort, and of the config that this rollout gives it."""
    return row.window.cohort == cohort and row.window.config_version == version


def _progress(strategy: Strategy, rollout: Rollout, at: int) -> float | None:
    """How much of the rollout's longest duration has passed; None when it has none."""
    longest = strategy.max_duration_s
    return None if longest is None else (at - rollout.started_at) / (1000 * longest)
