"""From windows, anomalies, insights, deployments and commands to decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from processors.decide.absorb import answer, close, follow, notice, obey, track
from processors.decide.budget import spend
from processors.decide.evaluate import evaluate, trigger
from processors.decide.policy import DecidePolicy
from processors.decide.retain import retain
from processors.decide.state import DecideState, ScopeState, entries
from schemas.anomaly import Anomaly
from schemas.command import Command, CommandKind
from schemas.decision import Decision
from schemas.flow import Emit, Input, Moment, Outcome
from schemas.insight import Insight
from schemas.rollout import Deployment
from schemas.scope import ALL, partition_of
from schemas.topics import DECISIONS
from schemas.window import EnrichedWindow


@dataclass(slots=True)
class Batch:
    """One step as it goes on; gone when it ends."""

    policy: DecidePolicy
    moment: Moment
    scopes: dict[str, ScopeState]
    touched: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    decisions: list[Decision] = field(default_factory=list)

    def get(self, scope: str) -> ScopeState:
        """The state of a scope, empty when it is new."""
        return self.scopes.get(scope) or ScopeState(scope=scope)

    def put(self, state: ScopeState) -> None:
        """The scope's next state."""
        if state is not self.scopes.get(state.scope):
            self.scopes[state.scope] = state
            self.touched.add(state.scope)

    def decide(self, decisions: Sequence[Decision]) -> None:
        """Publish, and count by action."""
        self.decisions.extend(decisions)
        self.counts.update(f"decided.{decision.action}" for decision in decisions)


def step(
    policy: DecidePolicy, state: DecideState, inputs: Sequence[Input], moment: Moment
) -> Outcome[DecideState]:
    """Learn from every input; evaluate a scope on each of its closed minutes.

    Args:
        policy: The catalog in force and how much evidence is evidence.
        state: All scopes of the partition.
        inputs: `EnrichedWindow` (key and pooled rows), `Anomaly`, `Insight`, `Deployment` of the
            partition, and `Command` of all partitions, of which those for its own scopes count.
        moment: Only its partition and their number are used; all time is event time.

    Returns:
        Decisions, the changes of each scope that was touched, and counts `evaluated`, `held`,
        `revised`, `rule.matched`, `rule.cooling`, `decided.<action>`.
    """
    batch = Batch(policy, moment, dict(state.scopes))
    for record in inputs:
        match record.value:
            case EnrichedWindow():
                _window(batch, record.value)
            case Anomaly(scope=scope):
                batch.put(notice(batch.get(scope), record.value))
            case Insight(scope=scope):
                batch.put(retain(policy, batch.get(scope), record.value))
            case Deployment(scope=scope):
                batch.put(follow(batch.get(scope), record.value))
            case Command():
                _command(batch, record.value)
            case _:
                pass
    return Outcome(
        DecideState(batch.scopes) if batch.touched else state,
        emits=tuple(
            Emit(DECISIONS.name, decision.scope, decision, partition=moment.partition)
            for decision in batch.decisions
        ),
        changes={
            key: entry
            for scope in sorted(batch.touched)
            for key, entry in entries(state.scopes.get(scope), batch.scopes[scope]).items()
        },
        counts=dict(sorted(batch.counts.items())),
    )


def _window(batch: Batch, row: EnrichedWindow) -> None:
    window, state = row.window, batch.get(row.window.scope)
    if window.window == "1h" and not window.pooled:
        batch.put(track(batch.policy, state, row))
        return
    if window.window != "1m" or not window.closed:
        return
    if window.revision > 1 or window.start < state.newest:
        batch.counts["revised"] += window.pooled  # what was decided on stays decided
        return
    if not window.pooled:
        batch.put(answer(state, row))
        return
    state = spend(close(batch.policy, state, row), row)
    if _hold(batch, state):
        batch.counts["held"] += 1
        batch.put(state)
        return
    batch.counts["evaluated"] += 1
    state, decisions = evaluate(batch.policy, state, batch.counts)
    batch.put(state)
    batch.decide(decisions)


def _hold(batch: Batch, state: ScopeState) -> str:
    return batch.get(ALL).hold or state.hold


def _command(batch: Batch, command: Command) -> None:
    if command.scope == ALL:
        _everywhere(batch, command)
        return
    moment = batch.moment
    if partition_of(command.scope, moment.partitions) != moment.partition:
        return
    state = batch.get(command.scope)
    if command.kind is not CommandKind.TRIGGER:
        batch.put(obey(state, command))
    elif _hold(batch, state):
        batch.counts["held"] += 1
    else:
        _trigger(batch, state, command)


def _everywhere(batch: Batch, command: Command) -> None:
    if command.kind is CommandKind.TRIGGER:
        for scope in sorted(batch.scopes):
            if scope != ALL and not _hold(batch, batch.scopes[scope]):
                _trigger(batch, batch.scopes[scope], command)
        return
    batch.put(obey(batch.get(ALL), command))
    if command.kind is CommandKind.RESUME:
        for scope in sorted(batch.scopes):
            batch.put(obey(batch.scopes[scope], command))


def _trigger(batch: Batch, state: ScopeState, command: Command) -> None:
    state, decisions = trigger(batch.policy, state, command.id, command.by, command.at)
    batch.put(state)
    batch.decide(decisions)
