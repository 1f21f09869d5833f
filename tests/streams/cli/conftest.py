"""Rollouts as the deployments topic tells them: events, and a look each minute."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from schemas.rollout import Deployment, Guardrail, Look, Phase, Verdict
from streams.cli.story import Story
from streams.cli.story import stories as found_in

T0, MINUTE = 1_760_000_040_000, 60_000
LIMIT = math.log(80.0)
MARGINS = {"errors": 0.05, "latency": 0.2, "quality": 0.1, "cost": 0.0}
VALUES = {"errors": 0.004, "latency": 900.0, "quality": 95.0, "cost": 0.0123}


def rail(metric: str, log_e: float, upper: float | None, n: int = 400) -> Guardrail:
    verdict = Verdict.INCONCLUSIVE
    if log_e >= LIMIT:
        verdict = Verdict.FAIL
    elif upper is not None and upper <= MARGINS[metric]:
        verdict = Verdict.PASS
    return Guardrail(
        metric=metric,
        verdict=verdict,
        log_e=log_e,
        limit=LIMIT,
        stable_n=9 * n,
        candidate_n=n,
        stable_value=VALUES[metric],
        candidate_value=VALUES[metric] * 0.9,
        upper_harm=upper,
        margin=MARGINS[metric],
        sentence=f"About its {metric}.",
    )


def look(minute: int, share: int, rails: Sequence[Guardrail], phase: Phase = Phase.RAMPING) -> Look:
    return Look(
        id="r-1",
        scope="search/answer",
        at=T0 + minute * MINUTE,
        share=share,
        phase=phase,
        verdict=max(each.verdict for each in rails),
        guardrails=tuple(rails),
        stable_requests=minute * 900,
        candidate_requests=minute * 100,
    )


def event(
    sequence: int,
    minute: int,
    phase: Phase,
    share: int,
    *,
    step: int = 1,
    steps: int = 4,
    rails: Sequence[Guardrail] = (),
    reason: str = "So it was.",
    by: str = "optimizer",
) -> Deployment:
    return Deployment(
        id="r-1",
        scope="search/answer",
        revision=sequence,
        sequence=sequence,
        at=T0 + minute * MINUTE,
        phase=phase,
        previous=None,
        step=step,
        steps=steps,
        share=share,
        verdict=max((each.verdict for each in rails), default=Verdict.INCONCLUSIVE),
        guardrails=tuple(rails),
        reason=reason,
        by=by,
        decision_id="d-1",
        stable_version="v-1",
        candidate_version="v-2",
        stable_model="openai/gpt-4",
        candidate_model="mistral/open-mixtral-8x7b",
    )


START = event(1, 0, Phase.RAMPING, 500)
SECOND = event(2, 5, Phase.RAMPING, 2_500, step=2)


def even(minute: int) -> list[Guardrail]:
    """Guardrails of a candidate that is no worse, after so many minutes."""
    return [
        rail("errors", -0.2 * minute, 0.4 / minute),
        rail("quality", 0.1, None if minute < 3 else 0.3 / minute),
    ]


def worse(minute: int) -> list[Guardrail]:
    """Guardrails of one whose quality is worse, which is known after eight minutes."""
    return [rail("errors", -0.2 * minute, 0.1), rail("quality", LIMIT * minute / 8, 0.2)]


def _told(*records: Deployment | Look) -> Story:
    return found_in(records)["r-1"]


@pytest.fixture(scope="session")
def stories() -> Mapping[str, Story]:
    """A rollout of each kind."""
    shares = [500] * 5 + [2_500] * 10
    fine = [look(minute, share, even(minute)) for minute, share in enumerate(shares, 1)]
    bad = [look(minute, share, worse(minute)) for minute, share in enumerate(shares[:8], 1)]
    thin = [
        look(minute, 500, [rail("errors", 0.0, None, n=minute), rail("cost", -0.1, None, n=minute)])
        for minute in range(1, 41)
    ]
    end = event(3, 15, Phase.PROMOTED, 10_000, step=4, rails=even(15), reason="Passed every step.")
    back = event(3, 8, Phase.ROLLED_BACK, 0, step=2, rails=worse(8), reason="It cost $5 and $6.")
    held = event(2, 5, Phase.RAMPING, 500, reason="Held at 5 %: 5 of 100 requests so far.")
    paused = event(2, 3, Phase.PAUSED, 500, by="ada", reason="Lunch.")
    hours = [
        look(60 * hour, 500, [rail("cost", 3.0 * hour, None), rail("latency", -hour, 9.0)])
        for hour in range(1, 50)
    ]
    return {
        "promoted": _told(START, SECOND, end, *fine),
        "rolled back": _told(START, SECOND, back, *bad),
        "held": _told(START, held, *thin),
        "paused": _told(START, paused, *(look(m, 500, even(m)) for m in range(1, 7))),
        "ramping": _told(START, SECOND, *fine[:7]),
        "worse, not ended": _told(START, *bad),
        "started": _told(START),
        "slow": _told(START, *hours[:30]),
        "very slow": _told(START, *hours),
        "pending": _told(event(1, 0, Phase.PENDING, 0, step=0, steps=0)),
        "rejected": _told(event(1, 0, Phase.REJECTED, 0, step=0, steps=0)),
        "manual": _told(event(1, 0, Phase.PROMOTED, 10_000, step=0, steps=0, by="ada")),
        "aborted": _told(START, event(2, 2, Phase.ROLLED_BACK, 0, by="ada", reason="Wrong.")),
        "asked first": _told(
            replace(event(1, 0, Phase.PENDING, 0, step=0, steps=0), asks_until=T0 + MINUTE)
        ),
        "never started": _told(
            replace(event(1, 0, Phase.PENDING, 0, step=0), asks_until=T0 + MINUTE),
            event(2, 9, Phase.ROLLED_BACK, 0, step=0, by="ada", reason="Not this week."),
        ),
        "asked later": _told(START, replace(held, asks_until=T0 + 90 * MINUTE), *thin),
        "shadow": _told(
            replace(START, share=0, shadow=500),
            replace(SECOND, at=T0 + 2 * MINUTE, share=0, shadow=2_500),
            event(3, 6, Phase.VERIFIED, 0, step=2, rails=even(6)),
            *(look(m, 0, even(m)) for m in range(1, 7)),
        ),
        "waited": _told(
            event(1, 0, Phase.PENDING, 0, step=0, steps=0),
            event(2, 3, Phase.RAMPING, 500),
            event(3, 4, Phase.PROMOTED, 10_000, by="ada"),
        ),
    }
