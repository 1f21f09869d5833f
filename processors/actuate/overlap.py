"""Scopes within each other: whose config serves a request, and so whose rollout it is in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from processors.actuate.rollout import roll_back
from processors.actuate.state import ScopeState
from processors.actuate.transition import move
from processors.actuate.turn import Cause, Turn
from schemas.command import Command, CommandKind
from schemas.rollout import Phase
from schemas.scope import ALL

CHANGES = (CommandKind.SET, CommandKind.UNSET, CommandKind.ROLLBACK)


def judged(scope: str) -> str | None:
    """Why no rollout can be judged in *scope*; None when one can.

    >>> judged("search/answer")
    >>> judged("search")
    "No windows are made of 'search' as a whole: roll out in its endpoints, or set it by hand."
    """
    if "/" in scope:
        return None
    where = f"No windows are made of {scope!r} as a whole"
    return f"{where}: roll out in its endpoints, or set it by hand."


def beneath(scopes: Mapping[str, ScopeState], command: Command) -> Iterator[str]:
    """The scopes of a task that are served otherwise when *command* changes a wider one.

    Those without a config of their own: the narrowest that there is serves. Whether the command
    is obeyed, only the task of the wider scope knows; it is taken for granted.
    """
    wide = command.scope
    if command.kind not in CHANGES or command.dry_run or judged(wide) is None:
        return
    for scope, entry in sorted(scopes.items()):
        within = scope not in (ALL, wide) and (wide == ALL or scope.startswith(f"{wide}/"))
        if within and entry.stable is None:
            yield scope


def unsettle(turn: Turn, command: Command) -> Turn:
    """Forget who served the scope and how it was; what was to be measured by that is given up."""
    entry, rollout = turn.entry, turn.entry.rollout
    turn = turn.become(replace(entry, serving=(), tally=(), past=None))
    if rollout is None or rollout.phase is not Phase.PENDING:
        return turn
    at = entry.at or command.at
    reason = f"What serves {turn.scope} was changed for {command.scope} by {command.by}."
    return move(turn, roll_back(rollout, reason, at), Cause(at=at, by=command.by))
