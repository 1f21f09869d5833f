"""The actuator: decisions, cohorts and commands in, configs and the story of rollouts out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from processors.actuate.admit import full
from processors.actuate.breaker import count_failures
from processors.actuate.command import OF_ONE, obey
from processors.actuate.decision import follow
from processors.actuate.glimpse import keep, peek
from processors.actuate.memory import remember
from processors.actuate.minute import pass_minute
from processors.actuate.overlap import beneath, unsettle
from processors.actuate.policy import ActuatePolicy, shared
from processors.actuate.silence import hear, listen, pass_silence, silent
from processors.actuate.state import (
    ENTRY,
    ActuateState,
    ScopeState,
    fresh,
    hold_over,
    restore,
)
from processors.actuate.triggers.watch import count_return, under_return
from processors.actuate.turn import Turn
from schemas.alarm import Alarm
from schemas.command import Command, CommandKind
from schemas.decision import Decision
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.loop import Transition
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Look
from schemas.scope import ALL, partition_of
from schemas.window import MINUTE, EnrichedWindow

__all__ = ["ENTRY", "ActuatePolicy", "ActuateState", "fresh", "restore", "step"]

OBEYED = 64  # commands whose ids a task remembers


def step(
    policy: ActuatePolicy, state: ActuateState, inputs: Sequence[Input], moment: Moment
) -> Outcome[ActuateState]:
    """Take in a batch, record by record.

    Every record is answered before the next one is looked at, so how the inputs are cut into
    batches plays no part. Time is the scope's own: the end of its newest complete minute; in a
    scope where nothing is served, that of the task. The worker's clock is `updated_at` of a config,
    for it is what propagation is measured by, and counts how long a task has heard nothing at all.

    Args:
        policy: Limits and catalog.
        state: Of all scopes of this partition.
        inputs: Decisions, enriched windows and commands, by topic and offset.
        moment: Gives the epoch and the partition that configs are written with.

    Returns:
        The next state, a config for each change of a scope, and an event for each thing that
        happened, changes by scope, and counts of both by kind.
    """
    policy = shared(policy, moment.partition, moment.partitions)
    scopes = dict(state.scopes)
    emits: list[Emit] = []

    for item in inputs:
        for turn in _turns(policy, scopes, item.value, moment):
            _keep(scopes, turn)
            emits.extend(turn.emits)
    for turn in _silences(policy, scopes, moment):
        _keep(scopes, turn)
        emits.extend(turn.emits)
    changes = {
        scope: entry
        for scope, entry in sorted(scopes.items())
        if entry is not state.scopes.get(scope) and entry != state.scopes.get(scope)
    }
    return Outcome(
        ActuateState(scopes) if changes else state,
        emits=tuple(emits),
        changes=changes,
        counts=Counter(map(_kind, emits)),
    )


def _turns(
    policy: ActuatePolicy, scopes: Mapping[str, ScopeState], value: object, moment: Moment
) -> Iterator[Turn]:
    """The turns that a record makes, each begun when the one before has been kept."""

    def begin(scope: str) -> Turn:
        return Turn(policy, moment, scope, scopes.get(scope, ScopeState()))

    match value:
        case Command() as command:
            yield from _commanded(policy, scopes, command, moment)
        case Decision() as decision:
            yield follow(begin(decision.scope), scopes, decision)
        case EnrichedWindow() as row if row.window.window == "1m" and not row.window.closed:
            turn = begin(row.window.scope)
            yield peek(turn, row) if row.window.pooled else turn.become(keep(turn.entry, row))
        case EnrichedWindow() as row:
            turn = begin(row.window.scope)
            if row.window.pooled and row.window.window == "1m" and row.window.closed:
                task = scopes.get(ALL, ScopeState())
                returning = under_return(task, row.window.end, policy.settle_s * 1000)
                yield pass_minute(turn, row, hold_over(scopes, turn.scope), returning)
            else:
                yield turn.become(remember(policy, turn.entry, row))
            task = scopes.get(ALL, ScopeState())
            if row.window.closed and (heard := hear(task, row.window.watermark, moment)) != task:
                yield begin(ALL).become(heard)
                # Rows of the minutes before have all come, of this one perhaps not.
                at = row.window.watermark - MINUTE
                for scope, rollout in silent(scopes, at):
                    yield pass_silence(begin(scope), rollout, hold_over(scopes, scope), at)
        case _:
            pass  # a tombstone


def _commanded(
    policy: ActuatePolicy, scopes: Mapping[str, ScopeState], command: Command, moment: Moment
) -> Iterator[Turn]:
    """The turns that a command makes in each scope that it concerns; none when it comes again."""
    concerned = _concerned(scopes.keys() | {ALL}, command, moment)
    task = scopes.get(ALL, ScopeState())
    below = list(beneath(scopes, command))
    if not (concerned or below) or command.id in task.commands:
        return
    if command.kind is not CommandKind.TRIGGER:
        obeyed = (*task.commands, command.id)[-OBEYED:]
        yield Turn(policy, moment, ALL, replace(task, commands=obeyed))
    for scope in concerned:
        over = None if scope == ALL else scopes.get(ALL, ScopeState()).hold
        turn = Turn(policy, moment, scope, scopes.get(scope, ScopeState()))
        starts = command.kind is CommandKind.APPROVE and turn.entry.rollout is not None
        yield obey(turn, command, over, full(policy, scopes) if starts else None)
    for scope in below:
        yield unsettle(Turn(policy, moment, scope, scopes.get(scope, ScopeState())), command)


def _silences(
    policy: ActuatePolicy, scopes: Mapping[str, ScopeState], moment: Moment
) -> Iterator[Turn]:
    """The turns that silence makes: when another minute of it is over in the whole task."""
    before = scopes.get(ALL, ScopeState())
    task = listen(scopes, moment)
    if task is before or task.clock is None:
        return
    yield Turn(policy, moment, ALL, before).become(task)
    at = task.clock.reached + task.clock.silent
    for scope, rollout in silent(scopes, at):
        turn = Turn(policy, moment, scope, scopes[scope])
        yield pass_silence(turn, rollout, hold_over(scopes, scope), at)


def _keep(scopes: dict[str, ScopeState], turn: Turn) -> None:
    """Keep what a turn left, unless it is a scope of which there is nothing to remember."""
    if turn.scope in scopes or turn.entry != ScopeState():
        scopes[turn.scope] = turn.entry
    task = scopes.get(ALL, ScopeState())
    counted = count_return(count_failures(task, turn.emits), turn)
    if counted is not task:
        scopes[ALL] = counted


def _concerned(known: set[str], command: Command, moment: Moment) -> list[str]:
    """The scopes of this task that a command is for; the task's own entry is the first."""
    mine = partition_of(command.scope, moment.partitions) == moment.partition
    if command.scope != ALL:
        return [command.scope] if mine else []
    if command.kind in OF_ONE:
        return [ALL] if mine else []
    return [ALL, *sorted(known - {ALL})]


def _kind(emit: Emit) -> str:
    """What a record counts as: the phase of an event, or its kind in the plural."""
    match emit.value:
        case Deployment(phase=phase):
            return phase.value
        case Look():
            return "looks"
        case Transition():
            return "transitions"
        case Alarm():
            return "alarms"
        case RollbackReport():
            return "reports"
        case _:
            return "configs"
