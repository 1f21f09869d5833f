"""A rollout without the evidence that it needs: held, and then what its strategy says."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.judge import Judgement
from processors.actuate.rollout import (
    Advance,
    Rollout,
    ask,
    by_hand,
    percent,
    roll_back,
    unanswered,
)
from schemas.catalog import Strategy
from schemas.rollout import Phase, Verdict
from schemas.scope import BUCKETS


def wait(
    strategy: Strategy,
    rollout: Rollout,
    judgement: Judgement,
    at: int,
    *,
    enough: bool,
    unmet: tuple[str, ...] = (),
    lacks: str = "the evidence is not conclusive yet",
) -> Advance:
    """Hold on a rung whose dwell is over; the first time, and when it gets too long, say so.

    Args:
        strategy: The ladder, as the catalog has it now.
        rollout: A rollout that takes traffic and is not paused.
        judgement: Of all evidence so far; not FAIL.
        at: ms of event time, the end of the newest minute.
        enough: Whether it is only a person's word that is lacking: the ladder ends here.
        unmet: The criteria that the candidate does not keep, sentences.
        lacks: Why it is held, where it is not a person's word that is lacking.

    Returns:
        The rollout one look later.
    """
    where = f"at {percent(rollout.share or rollout.shadow)}"
    questions = " ".join((*unmet, *_open_questions(judgement)))
    if rollout.waiting_since is None:
        why = (
            f"{strategy.name} ends there. {by_hand(rollout.id)}"
            if enough
            else f"{lacks}. {questions}"
        )
        return Advance(replace(rollout, waiting_since=at), f"Held {where}: {why}".rstrip())
    late = at - rollout.waiting_since >= strategy.max_wait_s * 1000
    if enough or rollout.overdue or not late:
        return Advance(rollout)
    waited = f": no conclusive evidence {where} for {strategy.max_wait_s} s after its dwell"
    return _overstayed(strategy, rollout, waited, questions, at)


def rest(
    strategy: Strategy, rollout: Rollout, judgement: Judgement, at: int, heard: int
) -> Advance:
    """Look at a rollout in whose scope nothing has been served: it waits, and nothing climbs.

    Silence is no evidence, so what was enough before does not lead further either. `max_wait_s`
    after it was first held, `when_waiting` says what to do, as in `wait`. One that then waits for a
    person is quiet once nothing was served for so long.

    Args:
        strategy: The ladder, as the catalog has it now.
        rollout: A rollout that takes traffic.
        judgement: Of all evidence so far; not FAIL.
        at: ms of event time, now.
        heard: ms of event time, since when nothing was served.

    Returns:
        The rollout one look later.
    """
    given_up = unanswered(rollout, at) or out_of_time(strategy, rollout, at)
    if given_up is not None:
        return given_up
    longest = strategy.max_wait_s * 1000
    ended = rollout.step >= len(strategy.steps) and judgement.ready
    if rollout.phase is Phase.PAUSED or rollout.overdue or ended:
        return Advance(replace(rollout, quiet=_quiet(strategy, rollout, at - heard)))
    if at - rollout.entered_at < hold_ms(strategy, rollout):
        return Advance(rollout)
    where = f" at {percent(rollout.share or rollout.shadow)}"
    silence = f"no request was served in this scope for {(at - heard) // 60_000} min"
    if rollout.waiting_since is None:
        held = replace(rollout, waiting_since=at)
        return Advance(held, f"Held{where}: inconclusive, {silence}.")
    if at - rollout.waiting_since < longest:
        return Advance(rollout)
    after = _overstayed(strategy, rollout, f"{where}: inconclusive, {silence}", "", at)
    quiet = _quiet(strategy, after.rollout, at - heard)
    return replace(after, rollout=replace(after.rollout, quiet=quiet))


def out_of_time(strategy: Strategy, rollout: Rollout, at: int) -> Advance | None:
    """The end of a rollout that has taken as long as it may, None while it may go on.

    Where everybody is served the candidate already, only the time is waited for in which one can
    go back.
    """
    longest = strategy.max_duration_s
    if longest is None or at - rollout.started_at < longest * 1000 or rollout.share == BUCKETS:
        return None
    what = "No winner" if rollout.kind == "ab" else "Not good enough"
    return roll_back(rollout, f"{what} within {longest} s: the stable config stays.", at)


def hold_ms(strategy: Strategy, rollout: Rollout) -> int:
    """How long the present rung is held, at least; a ladder cut short holds as its last rung."""
    return strategy.steps[min(rollout.step, len(strategy.steps)) - 1].hold_s * 1000


def _quiet(strategy: Strategy, rollout: Rollout, silent: int) -> bool:
    """Whether one that waits needs no clock: nothing but a person or traffic can end it."""
    ends = rollout.asks_until is not None or strategy.max_duration_s is not None
    held = rollout.overdue or rollout.phase is Phase.PAUSED or rollout.step >= len(strategy.steps)
    return held and not ends and silent >= strategy.max_wait_s * 1000


def _overstayed(
    strategy: Strategy, rollout: Rollout, waited: str, questions: str, at: int
) -> Advance:
    """Do what `when_waiting` says; *waited* goes on a sentence, *questions* are sentences."""
    extends = strategy.when_waiting == "extend"
    if extends and rollout.extended < strategy.max_extensions:
        times = f"extension {rollout.extended + 1} of {strategy.max_extensions}"
        longer = replace(rollout, waiting_since=at, extended=rollout.extended + 1)
        return Advance(longer, f"Still held{waited}: {times}. {questions}".rstrip())
    if extends or strategy.when_waiting == "rollback":
        return roll_back(rollout, f"Gave up{waited}. {questions}".rstrip(), at)
    overdue = replace(rollout, overdue=True)
    if strategy.when_waiting == "ask":
        return ask(strategy, overdue, f"Asked{waited}. {questions}".rstrip(), at)
    said = f"Still held{waited}. {by_hand(rollout.id)} {questions}"
    return Advance(overdue, said.rstrip())


def _open_questions(judgement: Judgement) -> tuple[str, ...]:
    """Why the cohorts cannot be compared, and what the guardrails that have not passed say."""
    said = (g.sentence for g in judgement.guardrails if g.verdict is not Verdict.PASS)
    return (judgement.doubt, *said) if judgement.doubt else tuple(said)
