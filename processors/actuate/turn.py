"""One scope's turn within a step: its state, and the records so far."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from processors.actuate.policy import ActuatePolicy
from processors.actuate.rollout import Rollout
from processors.actuate.state import Failure, ScopeState
from schemas.alarm import Alarm
from schemas.config import ScopeConfig, Split
from schemas.flow import Emit, Moment
from schemas.loop import Transition
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Guardrail, Look, Verdict
from schemas.topics import CONFIG, DEPLOYMENTS

OPTIMIZER = "optimizer"
Told = Deployment | Look | Transition | Alarm | RollbackReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why something changes: when, by whom, on what evidence."""

    at: int  # ms, event time
    by: str = OPTIMIZER
    decision_id: str | None = None
    verdict: Verdict = Verdict.INCONCLUSIVE
    guardrails: tuple[Guardrail, ...] = ()
    blame: Failure | None = None  # remembered when the candidate is taken back
    origin: str = ""  # trigger, rule or catalog, where it is neither a verdict nor a command
    trigger: str | None = None  # id of the trigger or the rule
    first_bad_at: int | None = None  # ms, where a trigger's evidence begins
    affected: int = 0  # requests since then


@dataclass(frozen=True, slots=True)
class Turn:
    """A scope's state and what it has to tell; each method returns the next turn."""

    policy: ActuatePolicy
    moment: Moment
    scope: str
    entry: ScopeState
    emits: tuple[Emit, ...] = ()
    returned_at: int | None = None  # ms, a trigger took the stable config back

    def become(self, entry: ScopeState) -> Turn:
        """The same turn with another state."""
        return replace(self, entry=entry)

    def write(self, reason: str, cause: Cause) -> Turn:
        """Write the scope's config: the next revision, whole."""
        rollout = self.entry.rollout
        entry = replace(self.entry, revision=self.entry.revision + 1, revised_at=cause.at)
        config = ScopeConfig(
            scope=self.scope,
            revision=entry.revision,
            epoch=self.moment.epoch,
            stable=entry.stable,
            candidate=None if rollout is None else rollout.candidate,
            split=None if rollout is None else _split(rollout),
            updated_at=self.moment.now,
            reason=reason,
            decision_id=cause.decision_id,
        )
        return self.become(entry).emit(CONFIG.name, config)

    def tell(self, event: Told) -> Turn:
        """Write an event of the scope, a move of it, or what was seen of it."""
        return self.emit(DEPLOYMENTS.name, event)

    def emit(self, topic: str, value: ScopeConfig | Told) -> Turn:
        """Write a record of the scope, to the partition of the task that owns it."""
        emit = Emit(topic, self.scope, value, partition=self.moment.partition)
        return replace(self, emits=(*self.emits, emit))


def name(kind: str, scope: str, origin: str) -> str:
    """The id of what a decision, a command or a trigger starts in a scope.

    >>> name("r", "search/answer", "decision 1")
    'r-7abc8076d8a605ea'
    """
    return f"{kind}-{hashlib.blake2b(f'{scope}|{origin}'.encode(), digest_size=8).hexdigest()}"


def _split(rollout: Rollout) -> Split:
    """How the units, or the instances, are divided now."""
    return Split(
        rollout_id=rollout.id,
        salt=rollout.salt,
        share=rollout.share,
        by="instance" if rollout.kind == "rolling" else "unit",
        shadow=rollout.shadow,
    )
