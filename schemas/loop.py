"""The control loop's states, and one move of a scope from one to another."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class LoopState(StrEnum):
    """Where a scope is in the control loop."""

    IDLE = "idle"  # watched; nothing is under way
    COLLECTING = "collecting"  # a trigger fired; is there enough data?
    ANALYZING = "analyzing"  # what the data says
    DECIDING = "deciding"  # whether to change anything
    VALIDATING = "validating"  # may the plan be carried out? A person may have to say
    DEPLOYING = "deploying"  # carried out, no traffic yet
    MONITORING = "monitoring"  # a candidate has traffic, and is judged
    ROLLING_BACK = "rolling_back"  # back to what was stable
    ERROR = "error"  # a phase failed or took too long; nothing was applied


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One move of a scope; those of a scope, in order, have no gap."""

    scope: str
    sequence: int  # of this move within the scope, from 1
    at: int  # ms, event time
    source: LoopState
    target: LoopState
    reason: str  # a sentence
    by: str  # "optimizer" or who commanded it
    decision_id: str | None
    rollout_id: str | None
