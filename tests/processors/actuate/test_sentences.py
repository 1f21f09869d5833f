from __future__ import annotations

from dataclasses import replace

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
