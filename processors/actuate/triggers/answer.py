"""What a person says to the question of a trigger."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.admit import failure
from processors.actuate.rollout import roll_back
from processors.actuate.transition import move
from processors.actuate.triggers.fire import conclude, lapse
from processors.actuate.triggers.watch import give_back
from processors.actuate.turn import Cause, Turn, name
from schemas.alarm import Alarm, Answer
from schemas.command import Command, CommandKind
from schemas.rollout import Verdict


def question_of(turn: Turn, command: Command) -> Alarm | None:
    """The question that APPROVE or REJECT answers; None where they mean a rollout that waits.

    A command that names neither means a waiting rollout, if there is one.
    """
    vigil, rollout = turn.entry.vigil, turn.entry.rollout
    question = None if vigil is None else vigil.question
    if question is None or command.kind not in (CommandKind.APPROVE, CommandKind.REJECT):
        return None
    waits = rollout is not None and rollout.asks_until is not None
    if command.rollout_id is None:
        return None if waits else question
    return question if command.rollout_id == question.id else None


def answer(
    turn: Turn, question: Alarm, command: Command, said: str, cause: Cause
) -> tuple[Turn, str | None]:
    """Take the config back, or leave it; a person's word is above holds and limits.

    Args:
        turn: The scope.
        question: What its vigil asks.
        command: APPROVE or REJECT.
        said: Who answers, and why.
        cause: The person's.

    Returns:
        The turn after it, and why nothing could be done any more, or None.
    """
    entry = turn.entry
    if entry.vigil is None:  # pragma: no cover  # the question is its own
        return turn, None
    late, vigil = lapse(turn, entry.vigil)
    if vigil.question is None:
        kept = late.become(replace(entry, vigil=vigil))
        return kept, f"The question of trigger {question.trigger} has expired."
    agreed = command.kind is CommandKind.APPROVE
    what = Answer.APPROVED if agreed else Answer.REFUSED
    turn, vigil = conclude(turn, vigil, what, command.by, said)
    turn = turn.become(replace(entry, vigil=vigil))
    if not agreed:
        return turn, None
    cause = replace(cause, verdict=Verdict.FAIL, origin="trigger", trigger=question.trigger)
    rollout = entry.rollout
    if rollout is not None and rollout.id == question.rollout_id:
        blame = failure(
            turn.policy.catalog, turn.scope, rollout.strategy, rollout.stable, rollout.candidate
        )
        back = roll_back(rollout, f"{said} {question.sentence}", cause.at)
        return move(turn, back, replace(cause, blame=blame)), None
    target = entry.named(question.target_version)
    if target is None:
        return turn, f"{question.target_version} is no longer in the history of this scope."
    id_ = name("m", turn.scope, command.id)
    return give_back(turn, id_, target, f"{said} {question.sentence}", cause), None
