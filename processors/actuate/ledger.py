"""What a scope keeps of its changes: stable versions, failures, the count of a day."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.memory import serves
from processors.actuate.state import Begun, Failure, ScopeState, StableVersion
from schemas.config import LlmConfig

DAY = 86_400_000
HOUR = 3_600_000
LONGEST = 50  # entries of each list


def adopt(entry: ScopeState, config: LlmConfig, at: int, by: str) -> ScopeState:
    """Make *config* the stable one, with the one before as its parent in the history."""
    before = entry.stable
    if config == before:
        return entry
    parent = None if before is None else before.version
    others = (v for v in entry.history if v.config.version != config.version)
    history = (*others, StableVersion(config=config, parent=parent, at=at, by=by))
    return replace(entry, stable=config, history=history[-LONGEST:])


def adopt_served(entry: ScopeState, at: int, by: str) -> ScopeState:
    """Note what served before the first config, so that there is a way back to it."""
    served = serves(entry)
    return entry if served is None else adopt(entry, served, at, by)


def blame(entry: ScopeState, failure: Failure | None, at: int) -> ScopeState:
    """Remember a version that was taken back, and that it was; None is nobody's fault.

    What a failure depended on is remembered beside what others of the same version did: that it
    failed by another strategy does not make it fit for the first.
    """
    if failure is None:
        return entry
    others = (f for f in entry.failed if f != failure)
    return set_back(replace(entry, failed=(*others, failure)[-LONGEST:]), at)


def set_back(entry: ScopeState, at: int) -> ScopeState:
    """Remember that a change was taken back, of whatever version."""
    setbacks = (*(then for then in entry.setbacks if then > at - DAY), at)[-LONGEST:]
    return replace(entry, setbacks=setbacks)


def setbacks_on_end(entry: ScopeState, at: int, regret_ms: int) -> int:
    """How many changes were taken back in the last 24 hours, since one has lasted.

    A change lasts when it is still there once the regret period is over.
    """
    since = at - DAY
    if entry.promoted_at is not None and at - entry.promoted_at > regret_ms:
        since = max(since, entry.promoted_at)
    return sum(then > since for then in entry.setbacks)


def count_change(entry: ScopeState, at: int) -> ScopeState:
    """Count a change against the limit of a day."""
    kept = tuple(then for then in (*entry.changed_at, at) if then > at - DAY)
    return replace(entry, changed_at=kept[-LONGEST:])


def begin_by(entry: ScopeState, strategy: str, at: int) -> ScopeState:
    """Count a rollout against the limit of its strategy."""
    kept = tuple(each for each in entry.begun if each.at > at - DAY)
    return replace(entry, begun=(*kept, Begun(strategy, at))[-LONGEST:])


def begun_by(entry: ScopeState, strategy: str, at: int) -> int:
    """How many rollouts of *strategy* were accepted in the 24 hours before *at*, up to 50."""
    return sum(each.strategy == strategy and each.at > at - DAY for each in entry.begun)


def changes_of_a_day(entry: ScopeState, at: int) -> int:
    """How often the scope was changed in the 24 hours before *at*, up to 50."""
    return sum(then > at - DAY for then in entry.changed_at)


def returns_of(entry: ScopeState, at: int) -> tuple[int, ...]:
    """When triggers took the stable config back in the 24 hours before *at*, up to 50."""
    return tuple(then for then in entry.returned_at if then > at - DAY)[-LONGEST:]
