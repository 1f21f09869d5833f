"""What a person tells the actuator; a person comes before the optimizer and its limits."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.admit import failure, unusable
from processors.actuate.approve import approve
from processors.actuate.decision import name
from processors.actuate.report import report
from processors.actuate.rollout import Advance, Rollout, promote, roll_back, unasked
from processors.actuate.state import Hold, Mode
from processors.actuate.transition import move, refuse, return_to, serve, withdraw
from processors.actuate.triggers.answer import answer, question_of
from processors.actuate.turn import Cause, Turn
from schemas.command import Command, CommandKind
from schemas.report import RollbackReport
from schemas.rollout import Phase
from schemas.scope import ALL

SAID = {  # of a rollout
    CommandKind.PROMOTE: "Promoted",
    CommandKind.ABORT: "Aborted",
    CommandKind.APPROVE: "Approved",
    CommandKind.REJECT: "Rejected",
}

OF_ONE = (CommandKind.SET, CommandKind.UNSET)
"""For `*` they mean the config of `*`, and no other scope."""


def obey(turn: Turn, command: Command, hold: Hold | None, busy: str | None = None) -> Turn:
    """Do what *command* asks for in the turn's scope, or say why not.

    A command for `*` reaches every scope, the task's own entry `*` first; scopes in which there
    is nothing to do then stay silent. PAUSE and STOP hold until RESUME, STOP over PAUSE; RESUME
    for `*` lifts the holds of single scopes as well. ROLLBACK without a version ends an active
    rollout, and only without one goes back to the version before the stable one; a dry run of it
    leaves the scope as it is, and tells a simulated report.

    Args:
        turn: The scope.
        command: For this scope or for `*`.
        hold: What holds the scope besides its own entry's hold, or None.
        busy: With APPROVE, why no further rollout may start in the task, or None.

    Returns:
        The turn after it.
    """
    cause = Cause(at=turn.entry.at or command.at, by=command.by)
    if command.dry_run and command.kind is not CommandKind.ROLLBACK:
        said = f"Only a rollback can be rehearsed: send {command.kind.value} without dry_run."
        return _refuse(turn, command, said, cause)
    match command.kind:
        case CommandKind.PAUSE:
            turn = _pause(_hold(turn, command, Mode.PAUSED), command, cause)
        case CommandKind.STOP:
            turn = _end(_hold(turn, command, Mode.STOPPED), _said(command, "Stopped"), cause)
        case CommandKind.RESUME:
            turn = _resume(turn, command, hold, cause)
        case CommandKind.SET:
            turn = _set(turn, command, cause)
        case CommandKind.UNSET:
            turn = _unset(turn, command, cause)
        case CommandKind.ROLLBACK:
            done = _rollback(turn, command, cause)
            turn = _rehearsed(turn, done, command, cause) if command.dry_run else done
        case kind if kind in SAID:
            turn = _word(turn, command, hold or turn.entry.hold, busy, cause)
        case _:
            pass  # TRIGGER is the optimizer's, not the actuator's
    return turn


def _said(command: Command, what: str) -> str:
    """The sentence of a command."""
    why = f": {command.reason.rstrip('.')}" if command.reason else ""
    return f"{what} by {command.by}{why}."


def _refuse(turn: Turn, command: Command, reason: str, cause: Cause) -> Turn:
    """Answer a person who named this scope; a command for all is no question to each."""
    if command.scope != turn.scope or (turn.scope == ALL and command.kind not in OF_ONE):
        return turn
    id_ = name("m", turn.scope, command.id)
    if not command.dry_run:
        return refuse(turn, id_, command.config, reason, cause)
    sides = turn.entry.stable, None
    told = report(turn, id_, reason, cause, share=0, sides=sides, subject=None, simulated=True)
    return turn.tell(replace(told, refused=True))


def _hold(turn: Turn, command: Command, mode: Mode) -> Turn:
    """Put a hold on the entry that the command names; PAUSE does not weaken STOP."""
    held = turn.entry.hold
    if command.scope != turn.scope or (held is not None and held.mode is Mode.STOPPED):
        return turn
    hold = Hold(mode=mode, by=command.by, reason=command.reason)
    return turn.become(replace(turn.entry, hold=hold))


def _pause(turn: Turn, command: Command, cause: Cause) -> Turn:
    rollout = turn.entry.rollout
    if rollout is None or rollout.phase is not Phase.RAMPING:
        return turn
    paused = replace(rollout, phase=Phase.PAUSED, waiting_since=None, overdue=False)
    return move(turn, Advance(paused, _said(command, "Paused")), cause)


def _resume(turn: Turn, command: Command, hold: Hold | None, cause: Cause) -> Turn:
    rollout = turn.entry.rollout
    if rollout is not None:
        rollout = replace(rollout, quiet=False)
    turn = turn.become(replace(turn.entry, hold=None, failures=0, rollout=rollout))
    if hold is not None:
        reason = f"Still {hold.mode.value} for all scopes by {hold.by}: resume `*`."
        return _refuse(turn, command, reason, cause)
    if rollout is None or rollout.phase is not Phase.PAUSED:
        return turn
    resumed = replace(rollout, phase=Phase.RAMPING)
    return move(turn, Advance(resumed, _said(command, "Resumed")), cause)


def _set(turn: Turn, command: Command, cause: Cause) -> Turn:
    config = command.config
    reason = (
        "SET needs a config: send one."
        if config is None
        else unusable(turn.policy.catalog, turn.scope, config)
    )
    if config is None or reason is not None:
        return _refuse(turn, command, str(reason), cause)
    said = _said(command, "Set")
    ended = turn.entry.rollout is not None
    turn = _end(turn, said, cause)
    if turn.entry.stable is not None and turn.entry.stable.version == config.version:
        if ended:
            return turn
        return _refuse(turn, command, f"{config.version} is the stable config already.", cause)
    return serve(turn, name("m", turn.scope, command.id), config, said, cause)


def _unset(turn: Turn, command: Command, cause: Cause) -> Turn:
    if turn.entry.stable is None:
        return _refuse(turn, command, "No config is set here: there is none to remove.", cause)
    said = _said(command, "Unset")
    return withdraw(_end(turn, said, cause), name("m", turn.scope, command.id), said, cause)


def _rollback(turn: Turn, command: Command, cause: Cause) -> Turn:
    said = _said(command, "Rolled back")
    entry = turn.entry
    if command.version is None and entry.rollout is not None:
        return _end(turn, said, _blaming(turn, entry.rollout, cause))
    target = entry.previous() if command.version is None else entry.named(command.version)
    if target is None:
        known = ", ".join(v.config.version for v in entry.history) or "none"
        wanted = "There is no version before the stable one"
        if command.version is not None:
            wanted = f"{command.version} was never stable here"
        return _refuse(turn, command, f"{wanted}; known versions: {known}.", cause)
    if entry.rollout is not None:
        turn = _end(turn, said, _blaming(turn, entry.rollout, cause))
    left = turn.entry.stable
    if left is None or left.version == target.version:
        if entry.rollout is not None:
            return turn
        if left is None:
            return _refuse(turn, command, "No config is set here to take back: set one.", cause)
        return _refuse(turn, command, f"{target.version} is the stable config already.", cause)
    blame = failure(turn.policy.catalog, turn.scope, "", target, left)
    id_ = name("m", turn.scope, command.id)
    return return_to(turn, id_, target, said, replace(cause, blame=blame))


def _rehearsed(turn: Turn, done: Turn, command: Command, cause: Cause) -> Turn:
    """The turn as it was, with a report of what was *done*, or of its refusal."""
    id_, said = name("m", turn.scope, command.id), _said(command, "Rehearsed")
    told = [emit.value for emit in done.emits[len(turn.emits) :]]
    reports = [each for each in told if isinstance(each, RollbackReport)]
    if reports:  # the last one, where a rollout had to be ended first; of a refusal the only one
        last = reports[-1]
        rehearsed = replace(last, id=id_, revision=turn.entry.revision, simulated=True)
        return turn.tell(rehearsed if last.refused else replace(rehearsed, reason=said))
    rollout = turn.entry.rollout
    if rollout is None or done.entry.rollout is not None:
        return turn  # nobody asked this scope, and there is nothing to take back
    sides = rollout.candidate, rollout.stable  # it served nobody yet
    return turn.tell(
        report(turn, id_, said, cause, share=0, sides=sides, subject=rollout.id, simulated=True)
    )


def _word(turn: Turn, command: Command, hold: Hold | None, busy: str | None, cause: Cause) -> Turn:
    """A word about the rollout of the scope, or an answer to what a trigger asks there."""
    question = question_of(turn, command)
    if question is None:
        return _of_rollout(turn, command, hold, busy, cause)
    turn, late = answer(turn, question, command, _said(command, SAID[command.kind]), cause)
    return turn if late is None else _refuse(turn, command, late, cause)


def _of_rollout(
    turn: Turn, command: Command, hold: Hold | None, busy: str | None, cause: Cause
) -> Turn:
    """A word about the rollout of the scope: PROMOTE, ABORT, APPROVE or REJECT."""
    rollout, kind = turn.entry.rollout, command.kind.value
    if command.rollout_id not in (None, None if rollout is None else rollout.id):
        now = "none is active here" if rollout is None else f"{rollout.id} is active here"
        return _refuse(turn, command, f"Rollout {command.rollout_id} is over, {now}.", cause)
    if rollout is None:
        return _refuse(turn, command, f"There is no rollout to {kind} here.", cause)
    said = _said(command, SAID[command.kind])
    match command.kind:
        case CommandKind.PROMOTE:
            return move(turn, promote(rollout, said), cause)
        case CommandKind.APPROVE:
            after = approve(turn, rollout, said, hold, busy, cause)
            return _refuse(turn, command, after, cause) if isinstance(after, str) else after
        case CommandKind.REJECT if rollout.asks_until is None:
            return _refuse(turn, command, unasked(rollout), cause)
        case _:
            return _end(turn, said, _blaming(turn, rollout, cause))


def _end(turn: Turn, reason: str, cause: Cause) -> Turn:
    """Take the rollout back, if there is one."""
    rollout = turn.entry.rollout
    if rollout is None:
        return turn
    return move(turn, roll_back(rollout, reason, cause.at), cause)


def _blaming(turn: Turn, rollout: Rollout, cause: Cause) -> Cause:
    """The cause of an end that the candidate is remembered for."""
    catalog = turn.policy.catalog
    blame = failure(catalog, turn.scope, rollout.strategy, rollout.stable, rollout.candidate)
    return replace(cause, blame=blame)
