"""A person's word before a rollout starts, or where its evidence does not suffice."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.advance import onward
from processors.actuate.minute import begin, strategy_of
from processors.actuate.rollout import Advance, Rollout, promote, unasked
from processors.actuate.state import Hold
from processors.actuate.transition import move
from processors.actuate.turn import Cause, Turn
from schemas.catalog import Constraints, Strategy
from schemas.decision import Decision
from schemas.rollout import Phase


def asks(strategy: Strategy, limits: Constraints, decision: Decision) -> str | None:
    """Why a person has to agree before *decision* is carried out; None when nobody has to.

    An impact that nobody knows is asked about, for no evidence is never a pass.
    """
    if strategy.approval == "never":
        return None
    if strategy.approval == "always":
        return f"{strategy.name} always asks a person first."
    impact, most = decision.impact_usd_per_day, limits.approval_above_usd_per_day
    if impact is None:
        return "Nobody knows what it would change the cost by, so a person is asked first."
    if abs(impact) <= most:
        return None
    change = (
        f"{'save' if impact < 0 else 'cost'} ${abs(impact):,.2f}{'' if impact < 0 else ' more'}"
    )
    return (
        f"It would {change} a day; above ${most:,.2f} either way a person is asked first "
        "(approval_above_usd_per_day)."
    )


def approve(
    turn: Turn, rollout: Rollout, said: str, held: Hold | None, busy: str | None, cause: Cause
) -> Turn | str:
    """Go on with a rollout that waits for a person's word.

    Args:
        turn: The scope.
        rollout: Its rollout.
        said: Who approves, and why.
        held: What holds the scope, or None.
        busy: Why nothing may start, or None.
        cause: The person's.

    Returns:
        The turn after it, or the sentence that refuses.
    """
    if rollout.asks_until is None:
        return unasked(rollout)
    if held is not None:
        return f"Nothing starts or climbs while {held.mode.value} by {held.by}: resume first."
    strategy = strategy_of(turn, rollout)
    if isinstance(strategy, str):
        return f"{strategy} Reject it."
    if rollout.phase is not Phase.PENDING:
        after = onward(strategy, rollout, cause.at) or promote(rollout, "")
        return move(turn, Advance(after.rollout, f"{said} {after.reason}".rstrip()), cause)
    if busy is not None:
        return f"{busy} Approve it when one is over."
    approved = replace(rollout, asks_until=None, started_at=cause.at, entered_at=cause.at)
    turn = move(turn, Advance(approved, said), cause)
    return begin(turn, strategy, turn.entry.rollout or approved, None, cause.at)
