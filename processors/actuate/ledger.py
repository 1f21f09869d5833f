"""What a scope keeps of its changes: stable versions, failures, the count of a day."""

from __future__ import annotations

from dataclasses import replace

from processors.actuate.memory import serves
from processors.actuate.state import Failure, ScopeState, StableVersion
from schemas.config import LlmConfig

DAY = 86_400_000
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


def blame(entry: ScopeState, failure: Failure | None) -> ScopeState:
    """Remember a version that was taken back; None is nobody's fault."""
    if failure is None:
        return entry
    others = (f for f in entry.failed if f.version != failure.version)
    return replace(entry, failed=(*others, failure)[-LONGEST:])


def count_change(entry: ScopeState, at: int) -> ScopeState:
    """Count a change against the limit of a day."""
    kept = tuple(then for then in (*entry.changed_at, at) if then > at - DAY)
    return replace(entry, changed_at=kept[-LONGEST:])


def changes_of_a_day(entry: ScopeState, at: int) -> int:
    """How often the scope was changed in the 24 hours before *at*, up to 50."""
    return sum(then > at - DAY for then in entry.changed_at)
