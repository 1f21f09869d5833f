"""A scope in which nothing is served: its rollout waits by the task's clock, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from processors.actuate.admit import failure
from processors.actuate.advance import advance
from processors.actuate.informed import informed
from processors.actuate.judge import judge
from processors.actuate.minute import give_up, strategy_of
from processors.actuate.rollout import Rollout, roll_back
from processors.actuate.state import Clock, Hold, ScopeState
from processors.actuate.transition import move
from processors.actuate.turn import Cause, Turn
from processors.actuate.wait import rest
from schemas.flow import Moment
from schemas.rollout import Phase, Verdict
from schemas.scope import ALL
from schemas.window import MINUTE


def hear(task: ScopeState, watermark: int, moment: Moment) -> ScopeState:
    """The task's entry once a window of any of its scopes tells how far event time has come."""
    clock = task.clock
    if clock is not None and watermark <= clock.reached:
        return task
    now = Clock(reached=watermark, counted_at=moment.now, epoch=moment.epoch)
    return replace(task, clock=now)


def listen(scopes: Mapping[str, ScopeState], moment: Moment) -> ScopeState:
    """The task's entry after a while without news; the same until a minute can be counted.

    Windows come while anything is served in any scope of the task, and event time is then theirs
    alone. When none come, it goes on at the pace of the worker's clock. A new owner starts a minute
    anew, and one step counts two minutes at most, so that neither an outage of the workers nor a
    leap of the clock passes for silence. Nothing is counted that no rollout waits for.
    """
    task = scopes.get(ALL, ScopeState())
    waiting = {s: e for s, e in scopes.items() if e.rollout is not None and not e.rollout.quiet}
    if not waiting:
        return task
    clock = task.clock
    if clock is None:
        reached = max(since(entry) for entry in waiting.values())
        clock = Clock(reached=reached, counted_at=moment.now, epoch=moment.epoch)
    passed = moment.now - clock.counted_at
    if clock.epoch != moment.epoch or passed < 0:
        clock = replace(clock, counted_at=moment.now, epoch=moment.epoch)
    elif passed >= MINUTE:
        silent = clock.silent + min(passed, 2 * MINUTE)
        clock = replace(clock, silent=silent, counted_at=moment.now)
    return task if clock == task.clock else replace(task, clock=clock)


def silent(scopes: Mapping[str, ScopeState], at: int) -> Iterator[tuple[str, Rollout]]:
    """The scopes in which nothing was served up to *at*, ms of event time, and their rollouts."""
    for scope, entry in sorted(scopes.items()):
        if entry.rollout is not None and since(entry) < at:
            yield scope, entry.rollout


def since(entry: ScopeState) -> int:
    """Since when nothing was served in a scope with a rollout, ms of event time."""
    return max(entry.at, 0 if entry.rollout is None else entry.rollout.started_at)


def pass_silence(turn: Turn, rollout: Rollout, hold: Hold | None, at: int) -> Turn:
    """Look at the *rollout* of a scope that has been silent up to *at*, ms of event time.

    The verdict is at best inconclusive, whatever the evidence was before. Nobody is to blame: the
    same candidate may be tried again. A rollout that is held for a person is quiet after
    `max_wait_s` of silence, and takes no place in its task until something is served again.
    """
    strategy = strategy_of(turn, rollout)
    if isinstance(strategy, str):
        return move(turn, roll_back(rollout, strategy, at), Cause(at=at, origin="catalog"))
    heard = since(turn.entry)
    if rollout.phase is Phase.PENDING:
        if hold is not None and rollout.asks_until is None:
            quiet = at - heard >= strategy.max_wait_s * 1000
            return turn.become(replace(turn.entry, rollout=replace(rollout, quiet=quiet)))
        return give_up(turn, strategy, rollout, at)
    judgement = judge(strategy, rollout.evidence)
    cause = Cause(
        at=at,
        verdict=max(judgement.verdict, Verdict.INCONCLUSIVE),
        guardrails=informed(judgement.guardrails, rollout.evidence),
    )
    if judgement.verdict is Verdict.FAIL:  # by a margin that has become narrower
        catalog = turn.policy.catalog
        blame = failure(catalog, turn.scope, strategy.name, rollout.stable, rollout.candidate)
        return move(turn, advance(strategy, rollout, judgement, at), replace(cause, blame=blame))
    return move(turn, rest(strategy, rollout, judgement, at, heard), cause)
