"""When a config is taken back without waiting for a verdict, as its owner declares it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.scope import ALL
from schemas.shape import refuse

WATCHED = ("error_rate", "p95_latency_ms", "quality", "cost_per_request_usd")
"""The metrics that a trigger may watch: quality from below, all others from above."""
RELATIVE = ("quality", "cost_per_request_usd")
"""Those that may be compared with a baseline: they are means, which a baseline scales."""

LONGEST_S = 900
"""What a trigger may look back at, seconds: it keeps its minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A limit on one metric, over the last minutes of a config that the optimizer brought.

    It holds when `metric` is beyond `limit` over the last `window_s`, where at least
    `min_requests` requests (scores, where quality is watched) are known, and when chance does not
    explain that the config is worse than what it is compared with: the stable cohort of the same
    minutes while a rollout has traffic, else the scope as it was before the change. With
    `relative_to = "baseline"` the limit is `limit` times the value of that.

    `confirm_s`: it must hold at every look for so long, and the minute that confirms it be beyond
    the limit by itself. `mode`: automatic takes the config back,
    semi_automatic asks a person and waits for `expires_s`, manual only tells. `extent`: candidate
    watches rollouts only, whole also the stable config that a rollout ended with, during the regret
    period (`within = "regret"`) or for as long as it serves ("changed"). `target`: where the stable
    config goes back to, previous or a version that was stable before.
    """

    id: str
    metric: Literal["error_rate", "p95_latency_ms", "quality", "cost_per_request_usd"]
    limit: float
    description: str = ""
    enabled: bool = True
    simulate: bool = False  # say what it would do, and do nothing
    relative_to: Literal["baseline"] | None = None
    window_s: int = 60
    confirm_s: int = 0
    severity: Literal["critical", "high", "medium", "low"] = "high"
    mode: Literal["automatic", "semi_automatic", "manual"] = "automatic"
    extent: Literal["whole", "candidate"] = "whole"
    within: Literal["regret", "changed"] = "regret"
    target: str = "previous"
    min_requests: int = 50
    expires_s: int = 3600
    quiet_s: int = 900  # between two alarms that took nothing back, unless one was held and is not
    scopes: tuple[str, ...] = (ALL,)


def watchable(where: str, trigger: Trigger) -> None:
    """Raise when *trigger* could never hold, or not as it says.

    Args:
        where: The key of the entry, for the sentence.
        trigger: Its numbers are within their bounds.

    Raises:
        InvalidCatalog: with a sentence that names the field and what to change.
    """
    size = trigger.window_s
    if size % 60 or not 60 <= size <= LONGEST_S:
        most = LONGEST_S // 60
        raise refuse(
            f"{where}, window",
            f"{size} s cannot be looked back at; write whole minutes, from 1m to {most}m",
        )
    if trigger.confirm_s % 60:
        raise refuse(
            f"{where}, confirm", f"{trigger.confirm_s} s are no whole minutes; write 1m, 2m …"
        )
    if trigger.severity == "critical" and trigger.confirm_s:
        raise refuse(
            f"{where}, confirm",
            "a critical trigger acts at once; remove it, or write severity: high",
        )
    if trigger.relative_to and trigger.metric not in RELATIVE:
        raise refuse(
            f"{where}, relative_to",
            f"{trigger.metric} is compared with a limit of its own; remove it, or watch one of "
            f"{', '.join(RELATIVE)}",
        )
    if trigger.metric == "error_rate" and trigger.limit >= 1:
        raise refuse(
            f"{where}, limit", f"no error rate is above {trigger.limit:g}; write one below 100 %"
        )
    if not trigger.target:
        raise refuse(f"{where}, target", "it is empty; write previous, or a version")
