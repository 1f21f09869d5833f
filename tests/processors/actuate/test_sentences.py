from __future__ import annotations

from dataclasses import replace

import pytest

from processors.actuate.guardrails.reading import Reading
from processors.actuate.judge import _guardrail
from schemas.catalog import Step, Strategy
from schemas.rollout import Verdict

BOLD = Strategy(name="bold", steps=(Step(share=1.0, hold_s=0),), min_samples=20)
FEW = Reading(
    log_e=0.0,
    stable_n=900,
    candidate_n=50,
    compared_n=50,
    stable_value=400.0,
    candidate_value=410.0,
    standing=None,
    lower_harm=None,
    upper_harm=None,
)


def test_enough_requests_but_no_bound_yet_is_told_and_inconclusive() -> None:
    said = _guardrail(BOLD, "latency", FEW)

    assert Verdict.INCONCLUSIVE is said.verdict
    assert (
        "The candidate's p95 latency is 410 ms against 400 ms: "
        "too few latencies to say how much worse it may be."
    ) == said.sentence


def test_a_figure_that_nobody_knows_is_called_unknown() -> None:
    said = _guardrail(BOLD, "quality", replace(FEW, candidate_value=None))

    assert "The candidate's quality is unknown against 400.0" in said.sentence


@pytest.mark.parametrize(
    ("upper", "end"),
    [
        (0.063, ", though by at most 6.3 %: the margin of 10 % is for what is not proven."),
        (0.12, "to 1."),
        (None, "to 1."),
    ],
)
def test_what_is_proven_worse_within_the_margin_fails_and_says_why(
    upper: float | None, end: str
) -> None:
    worse = replace(FEW, log_e=20.0, upper_harm=upper)
    said = _guardrail(BOLD, "quality", worse)

    assert Verdict.FAIL is said.verdict
    assert said.sentence.endswith(end)
