"""A finding in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from processors.actuate.triggers.look import Finding
from schemas.alarm import Answer

DONE: Mapping[Answer, str] = {
    Answer.TAKEN_BACK: "It is taken back.",
    Answer.ASKED: "Shall it be taken back? `llmopt alarms` lists it and takes the answer.",
    Answer.TOLD: "A person should look: this trigger only tells.",
    Answer.SIMULATED: "It would be taken back: this trigger is simulated.",
}
SHOWN: Mapping[str, Callable[[float], str]] = {
    "error_rate": "{:.1%}".format,
    "p95_latency_ms": "{:.1%}".format,
    "quality": "{:.1f}".format,
    "cost_per_request_usd": "${:.3g}".format,
}


def found(answer: Answer) -> str:
    """What follows."""
    return DONE[answer]


def sentence(finding: Finding, rollout_id: str | None) -> str:
    """What a trigger found.

    Args:
        finding: A trigger that holds.
        rollout_id: None when the stable config is meant.
    """
    trigger = finding.trigger
    show = SHOWN[trigger.metric]
    whose = "the stable config" if rollout_id is None else "the candidate"
    against = "before the change" if rollout_id is None else "of the stable config"
    over = f"within {trigger.window_s // 60} min"
    value, limit, n = show(finding.value), show(finding.limit), finding.requests
    known = "" if finding.baseline is None else f"; {show(finding.baseline)} {against}"
    match trigger.metric:
        case "error_rate":
            what = f"{value} of {n} requests of {whose} failed {over}, limit {limit}"
        case "p95_latency_ms":
            what = (
                f"{value} of {n} latencies of {whose} were above {trigger.limit:,.0f} ms {over}, "
                f"5 % may be"
            )
        case "quality":
            what = f"quality of {whose} was {value} in {n} scores {over}, limit {limit}"
        case _:
            what = f"a request of {whose} cost {value} {over} ({n} requests), limit {limit}"
    return f"Trigger {trigger.id} ({trigger.severity}): {what}{known}."
