"""What a trigger found, and what followed from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What followed from an alarm."""

    TAKEN_BACK = "taken_back"  # the config was taken back; its report says the rest
    ASKED = "asked"  # a person is asked, until `expires_at`
    TOLD = "told"  # nothing more was to be done
    HELD = "held"  # something holds it back, the sentence says what
    SIMULATED = "simulated"  # it would have been taken back
    APPROVED = "approved"  # a person agreed
    REFUSED = "refused"  # a person did not
    EXPIRED = "expired"  # nobody answered in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """A trigger that held, or the end of a question that one asked."""

    id: str  # of the question and of its answer the same
    scope: str
    at: int  # ms, event time
    trigger: str
    severity: str
    metric: str
    answer: Answer
    value: float  # of the config, in the metric's own unit
    limit: float  # that it is beyond, the baseline counted in
    baseline: float | None  # of what it is compared with
    requests: int  # that the value is of
    rollout_id: str | None  # None: the stable config is meant
    version: str  # that it is about
    target_version: str | None  # that would be served instead
    expires_at: int | None  # ms, of a question
    by: str
    sentence: str
