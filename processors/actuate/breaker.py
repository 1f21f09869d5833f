"""The circuit breaker of the optimizer itself: too many failed changes, and it rests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from processors.actuate.policy import ActuatePolicy
from processors.actuate.state import ScopeState, under_way
from processors.actuate.turn import OPTIMIZER
from schemas.flow import Emit
from schemas.rollout import Deployment, Phase, Verdict
from schemas.scope import ALL


def count_failures(task: ScopeState, emits: Iterable[Emit]) -> ScopeState:
    """Count what happened in the task's own entry.

    A change of the optimizer that was found to be worse is a failure, whatever its scope; one
    that passed, or a person's RESUME for `*`, starts the count again.
    """
    for emit in emits:
        event: object = emit.value
        if not isinstance(event, Deployment) or event.by != OPTIMIZER:
            continue
        if event.phase is Phase.ROLLED_BACK and event.verdict is Verdict.FAIL:
            task = replace(task, failures=task.failures + 1, failed_at=event.at)
        elif event.phase is Phase.PROMOTED and event.verdict is Verdict.PASS:
            task = replace(task, failures=0)
    return task


def open_circuit(policy: ActuatePolicy, scopes: Mapping[str, ScopeState], at: int) -> str | None:
    """Why nothing may start after so many failures, or None.

    Open for `breaker_s` after the last failure; then half open: one rollout at a time, which
    closes it by passing and opens it again by failing.
    """
    task = scopes.get(ALL, ScopeState())
    if task.failures < policy.breaker_failures:
        return None
    failed = f"{task.failures} changes failed in a row"
    if at - task.failed_at < policy.breaker_s * 1000:
        return f"{failed}: nothing starts for {policy.breaker_s} s, or until `*` is resumed."
    if under_way(scopes):
        return f"{failed}: one rollout at a time until one passes, or `*` is resumed."
    return None
