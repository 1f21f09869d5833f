"""A scope's minute is complete: look at its rollout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from processors.actuate.admit import failure, unusable
from processors.actuate.advance import advance, climb
from processors.actuate.critical import critical
from processors.actuate.evidence import observe, reference
from processors.actuate.informed import informed
from processors.actuate.judge import judge
from processors.actuate.memory import complete
from processors.actuate.rollout import Rollout, roll_back, unanswered
from processors.actuate.state import Hold
from processors.actuate.transition import move
from processors.actuate.triggers.say import sentence
from processors.actuate.triggers.watch import watch_candidate, watch_stable
from processors.actuate.turn import Cause, Turn
from schemas.catalog import Strategy
from schemas.rollout import Look, Phase, Verdict
from schemas.scope import BUCKETS, murmur3
from schemas.window import EnrichedWindow


def pass_minute(turn: Turn, pooled: EnrichedWindow, hold: Hold | None, returning: int = 0) -> Turn:
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
        returning: How many triggers' returns are under way in the task.

    Returns:
        The turn after it.
    """
    window, rows, rollout = pooled.window, turn.entry.rows, turn.entry.rollout
    if window.start < turn.entry.at:
        return turn  # a revision
    turn = turn.become(complete(turn.entry, window.end))
    if rollout is None or rollout.phase is Phase.PENDING:
        turn = watch_stable(turn, rows, window.start, hold, returning)
        rollout = turn.entry.rollout
    if rollout is None:
        return turn
    strategy = strategy_of(turn, rollout)
    if isinstance(strategy, str):
        return move(
            turn, roll_back(rollout, strategy, window.end), Cause(at=window.end, origin="catalog")
        )
    rollout = replace(rollout, quiet=False)
    if rollout.phase is Phase.PENDING:
        return begin(turn, strategy, rollout, hold, window.end)
    return _look(turn, strategy, rollout, rows, window.start)


def strategy_of(turn: Turn, rollout: Rollout) -> Strategy | str:
    """The ladder that a rollout is on, or the sentence that says why it cannot go on."""
    strategy = turn.policy.catalog.strategies.get(rollout.strategy)
    if strategy is None or not strategy.steps:
        return f"Strategy {rollout.strategy!r} is no longer in the catalog."
    if strategy.kind != rollout.kind:
        return f"Strategy {strategy.name!r} was {rollout.kind} and is {strategy.kind} now."
    return unusable(turn.policy.catalog, turn.scope, rollout.candidate) or strategy


def begin(turn: Turn, strategy: Strategy, rollout: Rollout, hold: Hold | None, at: int) -> Turn:
    """Give a pending rollout its first traffic once there is a past to measure by.

    One that is not judged needs none; one that waits for a person's word gets no traffic.
    """
    if hold is not None and rollout.asks_until is None:
        return turn
    past = turn.entry.past
    if rollout.asks_until is not None or (past is None and strategy.kind != "immediate"):
        return give_up(turn, strategy, rollout, at)
    known = None if past is None else reference((past,))
    return move(turn, climb(strategy, replace(rollout, reference=known), at), Cause(at=at))


def give_up(turn: Turn, strategy: Strategy, rollout: Rollout, at: int) -> Turn:
    """End a rollout that has waited too long for a person's word, or a past to measure by."""
    if rollout.asks_until is not None:
        vain = unanswered(rollout, at)
        if vain is not None:
            return move(turn, vain, Cause(at=at))
        return turn.become(replace(turn.entry, rollout=rollout))
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
    stable = [row for row in rows if served(row, ("stable",), rollout.stable.version)]
    tried = ("candidate", "shadow")
    candidate = [row for row in rows if served(row, tried, rollout.candidate.version)]
    requests = sum(row.window.requests for row in candidate)
    rollout = replace(rollout, requests=rollout.requests + requests)
    settled = start >= rollout.entered_at + turn.policy.settle_s * 1000
    drawn = rollout.share or rollout.shadow
    # Where everybody is served the candidate, there is nothing in the same minute to compare with.
    compared = drawn < BUCKETS and rollout.reference is not None and (stable or candidate)
    if settled and compared and rollout.reference is not None:
        evidence = observe(
            rollout.evidence,
            *(arms(rollout, stable), arms(rollout, candidate)),
            0 if rollout.kind == "rolling" else drawn,
            rollout.reference,
            murmur3(f"{turn.scope}:{start}".encode()),
            _progress(strategy, rollout, at),
        )
        rollout = replace(rollout, evidence=evidence)
    judgement = judge(strategy, rollout.evidence)
    told = informed(judgement.guardrails, rollout.evidence)
    cohorts = (candidate, stable)
    turn, finding = watch_candidate(turn, rollout, cohorts, start, judgement.guardrails)
    net = critical(turn.policy, stable, candidate)
    alarm = net if finding is None else sentence(finding, rollout.id)
    verdict = judgement.verdict if alarm is None else Verdict.FAIL
    look = Look(
        id=rollout.id,
        scope=turn.scope,
        at=at,
        share=rollout.share,
        phase=rollout.phase,
        verdict=verdict,
        guardrails=told,
        stable_requests=rollout.evidence.stable_requests,
        candidate_requests=rollout.evidence.candidate_requests,
        shadow=rollout.shadow,
    )
    turn = turn.tell(look)
    cause = Cause(at=at, verdict=verdict, guardrails=told)
    if verdict is Verdict.FAIL:  # what only took too long was never found to be worse
        catalog = turn.policy.catalog
        blame = failure(catalog, turn.scope, strategy.name, rollout.stable, rollout.candidate)
        cause = replace(cause, blame=blame)
    if alarm is not None:
        cause = replace(
            cause,
            origin="trigger",
            trigger="critical" if finding is None else finding.trigger.id,
            first_bad_at=start if finding is None else finding.first_bad_at,
            affected=requests if finding is None else finding.affected,
        )
        return move(turn, roll_back(rollout, alarm, at), cause)
    return move(turn, advance(strategy, rollout, judgement, at), cause)


def served(row: EnrichedWindow, cohorts: Sequence[str], version: str) -> bool:
    """Whether a row is of these cohorts, and of the config that this rollout gives them."""
    return row.window.cohort in cohorts and row.window.config_version == version


def arms(rollout: Rollout, rows: Sequence[EnrichedWindow]) -> Sequence[EnrichedWindow]:
    """The rows as they can be compared.

    Between instances units go to and fro, so whom a unit's error belongs to says nothing: errors
    are then compared by request, discounted for their bursts. What part of the requests a share of
    the instances is, nobody knows, so none is expected.
    """
    if rollout.kind != "rolling":
        return rows
    return [replace(row, window=replace(row.window, error_units=())) for row in rows]


def _progress(strategy: Strategy, rollout: Rollout, at: int) -> float | None:
    """How much of the rollout's longest duration has passed; None when it has none."""
    longest = strategy.max_duration_s
    return None if longest is None else (at - rollout.started_at) / (1000 * longest)
