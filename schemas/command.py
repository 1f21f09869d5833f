"""What a person tells the optimizer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from schemas.config import LlmConfig


class CommandKind(StrEnum):
    """What is asked for."""

    PAUSE = "pause"  # hold the rollouts of a scope (or of all, `*`) where they are
    RESUME = "resume"  # undo pause, and stop when given for `*`
    STOP = "stop"  # emergency: every rollout back to stable, then observe only
    SET = "set"  # make this config the stable one, at once
    UNSET = "unset"  # serve none here: a wider scope's, else what applications bring along
    ROLLBACK = "rollback"  # back to the previous, or a named, stable version
    PROMOTE = "promote"  # make the candidate stable now
    ABORT = "abort"  # end the rollout, back to stable
    APPROVE = "approve"  # the word that a rollout waits for: go on
    REJECT = "reject"  # no: end it, back to stable
    TRIGGER = "trigger"  # evaluate a scope now
    BASELINE = "baseline"  # a scope is as it should be: its last week is what to compare with


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One instruction, by whom and why."""

    id: str
    kind: CommandKind
    scope: str  # a scope, or `*`
    at: int  # ms since the epoch
    by: str
    reason: str = ""
    config: LlmConfig | None = None  # with SET
    version: str | None = None  # with ROLLBACK
    rollout_id: str | None = None  # with PROMOTE, ABORT, APPROVE, REJECT: that one or none
    dry_run: bool = False  # with ROLLBACK: say what would be restored, and do nothing
