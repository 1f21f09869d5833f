"""What the actuator remembers of each scope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from processors.actuate.rollout import Rollout
from processors.actuate.triggers.vigil import Vigil
from schemas.config import LlmConfig
from schemas.loop import LoopState
from schemas.scope import ALL
from schemas.window import EnrichedWindow


class Mode(StrEnum):
    """How far the actuator may go."""

    PAUSED = "paused"  # nothing starts, nothing climbs; guardrails still roll back
    STOPPED = "stopped"  # nothing starts: observe only


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A person's word that is in force until RESUME."""

    mode: Mode
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StableVersion:
    """A config that was stable once, and the version that it took the place of."""

    config: LlmConfig
    parent: str | None
    at: int  # ms, event time
    by: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A version that was taken back, and the checksum of all that this depended on."""

    version: str
    dependencies: str


@dataclass(frozen=True, slots=True)
class Begun:
    """A rollout that was accepted."""

    strategy: str
    at: int  # ms, event time


@dataclass(frozen=True, slots=True, order=True)
class Serving:
    """How much of a scope's recent traffic a model answered."""

    provider: str
    model: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """How far event time has come in a task, and how long nothing has been heard since.

    Silence is counted by the worker's clock, a minute at a time, and only while an owner watches.
    """

    reached: int  # ms, event time: windows were written as of then
    silent: int = 0  # ms without news since
    counted_at: int  # ms, the worker's clock: up to when
    epoch: int  # of the owner that watches


@dataclass(frozen=True, slots=True)
class Cycle:
    """A scope's place in the control loop, and the number of the move that led there."""

    state: LoopState = LoopState.IDLE
    sequence: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeState:
    """One scope, whole: an entry of the changelog.

    The entry of `*` carries the task's clock, the hold over the whole task, its failures and the
    commands that it has obeyed, and in the task that owns `*` also the config that stands behind
    every other scope.
    """

    revision: int = 0  # of the last config written
    at: int = 0  # ms: end of the newest complete minute, the scope's clock
    stable: LlmConfig | None = None
    rollout: Rollout | None = None
    cycle: Cycle = field(default_factory=Cycle)
    hold: Hold | None = None
    history: tuple[StableVersion, ...] = ()  # newest last
    failed: tuple[Failure, ...] = ()  # newest last
    decisions: tuple[str, ...] = ()  # ids of the last ones that were answered
    changed_at: tuple[int, ...] = ()  # ms, changes of the last 24 hours
    begun: tuple[Begun, ...] = ()  # rollouts of the last 24 hours
    revised_at: int | None = None  # ms, the last config written
    promoted_at: int | None = (
        None  # ms, the last rollout that was promoted, until undone or set aside
    )
    serving: tuple[Serving, ...] = ()  # the models of the last quarter of an hour, fading
    tally: tuple[Serving, ...] = ()  # of the minute that is being read
    rows: tuple[EnrichedWindow, ...] = ()  # cohorts in the minute that is being read
    past: EnrichedWindow | None = None  # how the scope has been of late, without a split
    before: EnrichedWindow | None = None  # the past of the rollout that was promoted then
    vigil: Vigil | None = None  # over the candidate, or over what was promoted
    returned_at: tuple[int, ...] = ()  # ms, triggers took the stable config back, of a day
    setbacks: tuple[int, ...] = ()  # ms, changes that were taken back, of a day
    failures: int = 0  # of the whole task in a row, in the entry of `*`
    failed_at: int = 0  # ms, the last of them
    clock: Clock | None = None  # of the whole task, in the entry of `*`
    commands: tuple[str, ...] = ()  # ids of the last ones that were obeyed, in the entry of `*`

    def previous(self) -> LlmConfig | None:
        """The stable config before the present one; None when there is none."""
        if self.stable is None:
            return None
        parents = {v.config.version: v.parent for v in self.history}
        return self.named(parents.get(self.stable.version))

    def named(self, version: str | None) -> LlmConfig | None:
        """The config of the history that has this version."""
        return next((v.config for v in self.history if v.config.version == version), None)


@dataclass(frozen=True, slots=True)
class ActuateState:
    """All scopes of one partition; `*` is the task's own entry."""

    scopes: Mapping[str, ScopeState] = field(default_factory=dict)


ENTRY: type = ScopeState


def fresh() -> ActuateState:
    """The state of a task that has read nothing."""
    return ActuateState()


def restore(entries: Mapping[str, ScopeState]) -> ActuateState:
    """The state that wrote *entries*."""
    return ActuateState(dict(entries))


def under_way(scopes: Mapping[str, ScopeState]) -> int:
    """How many rollouts take a place: not those that are quiet, or wait to be approved."""
    return sum(
        entry.rollout is not None
        and not entry.rollout.quiet
        and entry.cycle.state is not LoopState.VALIDATING
        for entry in scopes.values()
    )


def at_work(scopes: Mapping[str, ScopeState]) -> int:
    """How many optimizations are under way: rollouts that take a place or wait to be approved."""
    return sum(entry.rollout is not None and not entry.rollout.quiet for entry in scopes.values())


def silence(scopes: Mapping[str, ScopeState]) -> int:
    """The time of a task in which nothing is heard, ms of event time; 0 while something is."""
    clock = scopes.get(ALL, ScopeState()).clock
    return clock.reached + clock.silent if clock is not None and clock.silent else 0


def hold_over(scopes: Mapping[str, ScopeState], scope: str) -> Hold | None:
    """The strongest hold that *scope* is under: STOPPED before PAUSED, the task's before its own.

    Returns:
        None when nothing holds it.
    """
    holds = [
        entry.hold
        for entry in (scopes.get(ALL), scopes.get(scope))
        if entry is not None and entry.hold is not None
    ]
    return next((hold for hold in holds if hold.mode is Mode.STOPPED), next(iter(holds), None))
