"""A scope's place in the control loop, moved along the table and never beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from processors.actuate.turn import Cause, Turn
from schemas.decision import Action, Decision
from schemas.loop import LoopState, Transition

IDLE, COLLECTING, ANALYZING = LoopState.IDLE, LoopState.COLLECTING, LoopState.ANALYZING
DECIDING, VALIDATING, DEPLOYING = LoopState.DECIDING, LoopState.VALIDATING, LoopState.DEPLOYING
MONITORING, ROLLING_BACK, ERROR = (
    LoopState.MONITORING,
    LoopState.ROLLING_BACK,
    LoopState.ERROR,
)
NEXT: Mapping[LoopState, tuple[LoopState, ...]] = {
    IDLE: (COLLECTING,),  # a trigger
    COLLECTING: (ANALYZING, IDLE),  # enough data; insufficient data
    ANALYZING: (DECIDING, ERROR),  # done; failed
    DECIDING: (VALIDATING, IDLE),  # a plan; nothing to do
    VALIDATING: (DEPLOYING, IDLE),  # valid; rejected
    DEPLOYING: (MONITORING, ROLLING_BACK),  # rolled out; failed
    MONITORING: (IDLE, ROLLING_BACK),  # stable; unhealthy
    ROLLING_BACK: (IDLE,),  # done
    ERROR: (IDLE,),  # recovered
}
"""State → the states that may follow."""


@cache
def route(start: LoopState, end: LoopState) -> tuple[LoopState, ...]:
    """The states on the shortest way along the table, *start* left out and *end* included.

    Every state can be reached from every other, and no two ways are equally short where it is
    used: from IDLE to a plan there is one way, and so is there from a plan to its end.

    >>> [state.value for state in route(IDLE, VALIDATING)]
    ['collecting', 'analyzing', 'deciding', 'validating']
    """
    ways: dict[LoopState, tuple[LoopState, ...]] = {start: ()}
    for state in _by_distance(start):
        for after in NEXT[state]:
            ways.setdefault(after, (*ways[state], after))
    return ways[end]


def go(turn: Turn, end: LoopState, reason: str, cause: Cause, id_: str | None = None) -> Turn:
    """Move the scope to *end*, each state on the way an event of its own; nothing if it is there.

    Args:
        turn: The scope.
        end: Where to.
        reason: A sentence.
        cause: When, by whom, for which decision.
        id_: Of the rollout or the manual change, where there is one.

    Returns:
        The turn after it.
    """
    for state in route(turn.entry.cycle.state, end):
        cycle = turn.entry.cycle
        cycle = replace(cycle, state=state, sequence=cycle.sequence + 1)
        event = Transition(
            scope=turn.scope,
            sequence=cycle.sequence,
            at=cause.at,
            source=turn.entry.cycle.state,
            target=state,
            reason=reason,
            by=cause.by,
            decision_id=cause.decision_id,
            rollout_id=id_,
        )
        turn = turn.become(replace(turn.entry, cycle=cycle)).tell(event)
    return turn


def conclude(turn: Turn, decision: Decision, cause: Cause) -> Turn:
    """Tell the cycle of a *decision* that changes nothing; one that is under way goes on.

    It ended before the analysis where nobody knows what serves the scope, or too little of it.
    """
    if turn.entry.cycle.state is not IDLE:
        return turn
    last = COLLECTING if insufficient(decision) else DECIDING
    said = " ".join(decision.reasons) or decision.rule
    return go(go(turn, last, said, cause), IDLE, said, cause)


def insufficient(decision: Decision) -> bool:
    """Whether a decision to do nothing was one for want of data."""
    few = any(each.constraint == "min_minutes" for each in decision.violations)
    return decision.action is Action.NONE and (decision.current is None or few)


@cache
def _by_distance(start: LoopState) -> tuple[LoopState, ...]:
    """All states, the nearest to *start* first."""
    found = [start]
    for state in found:
        found.extend(after for after in NEXT[state] if after not in found)
    return tuple(found)
