from __future__ import annotations

from dataclasses import replace

import pytest

from processors.actuate.advance import advance, climb
from processors.actuate.judge import Judgement
from processors.actuate.rollout import NEXT, Advance, Rollout, roll_back
from schemas.catalog import Step, Strategy
from schemas.config import LlmConfig
from schemas.rollout import Guardrail, Phase, Verdict

LADDER = Strategy(
    name="balanced",
    steps=(Step(share=0.05, hold_s=300), Step(share=0.25, hold_s=600), Step(share=1.0, hold_s=0)),
    max_wait_s=1200,
)
OLD = LlmConfig(version="v-old", provider="p", model="old")
NEW = LlmConfig(version="v-new", provider="p", model="new")
PENDING = Rollout(
    id="r",
    decision_id="d",
    strategy="balanced",
    stable=OLD,
    candidate=NEW,
    salt="r",
    started_at=0,
    entered_at=0,
)
FIRST = climb(LADDER, PENDING, 0).rollout
SECOND = climb(LADDER, FIRST, 300_000).rollout


def guardrail(verdict: Verdict) -> Guardrail:
    return Guardrail(
        metric="errors",
        verdict=verdict,
        log_e=0.0,
        limit=3.0,
        stable_n=10,
        candidate_n=10,
        stable_value=None,
        candidate_value=None,
        upper_harm=None,
        margin=0.05,
        sentence=f"Errors {verdict.name}.",
    )


PASSED = Judgement(Verdict.PASS, (guardrail(Verdict.PASS),), ready=True, sampled=True)
SAMPLED = Judgement(
    Verdict.INCONCLUSIVE, (guardrail(Verdict.INCONCLUSIVE),), ready=False, sampled=True
)
UNSURE = Judgement(Verdict.INCONCLUSIVE, (guardrail(Verdict.INCONCLUSIVE),), ready=False)
FAILED = Judgement(Verdict.FAIL, (guardrail(Verdict.FAIL),), ready=False)


def test_the_first_rung_takes_its_share_and_its_time() -> None:
    assert (Phase.RAMPING, 1, 500, 7) == (
        climb(LADDER, PENDING, 7).rollout.phase,
        climb(LADDER, PENDING, 7).rollout.step,
        climb(LADDER, PENDING, 7).rollout.share,
        climb(LADDER, PENDING, 7).rollout.started_at,
    )


def test_a_passing_rollout_stays_until_its_dwell_is_over() -> None:
    assert Advance(FIRST) == advance(LADDER, FIRST, PASSED, 299_999)


@pytest.mark.parametrize("judgement", [PASSED, SAMPLED])
def test_a_sampled_rollout_climbs_when_its_dwell_is_over(judgement: Judgement) -> None:
    moved = advance(LADDER, FIRST, judgement, 300_000).rollout

    assert (2, 2_500, 300_000) == (moved.step, moved.share, moved.entered_at)


@pytest.mark.parametrize(
    ("judgement", "why"),
    [
        (PASSED, "Every required guardrail passes."),
        (
            SAMPLED,
            (
                "No guardrail fails, and 100 samples of each required one were compared: enough to "
                "go on. To be promoted, it must also pass in errors."
            ),
        ),
    ],
)
def test_a_larger_share_says_on_what_evidence(judgement: Judgement, why: str) -> None:
    said = advance(LADDER, FIRST, judgement, 300_000).reason

    assert f"The candidate serves 25 %, step 2 of 3 of balanced. {why}" == said


def test_samples_alone_do_not_promote() -> None:
    moved = advance(LADDER, SECOND, SAMPLED, 900_000)

    assert (Phase.RAMPING, 2) == (moved.rollout.phase, moved.rollout.step)
    assert moved.reason == "Held at 25 %: the evidence is not conclusive yet. Errors INCONCLUSIVE."


def test_a_rollout_that_passed_every_step_is_promoted_by_the_last() -> None:
    moved = advance(LADDER, SECOND, PASSED, 900_000).rollout

    assert (Phase.PROMOTED, 3, 10_000) == (moved.phase, moved.step, moved.share)


def test_a_failing_rollout_is_taken_back_before_its_dwell_is_over() -> None:
    moved = advance(LADDER, replace(FIRST, requests=42), FAILED, 60_000)

    assert Phase.ROLLED_BACK is moved.rollout.phase
    assert moved.reason == (
        "Worse in errors: Errors FAIL. 42 requests were served by the candidate in 60 s."
    )


def test_a_paused_rollout_never_climbs_but_is_taken_back() -> None:
    paused = replace(FIRST, phase=Phase.PAUSED)

    assert Advance(paused) == advance(LADDER, paused, PASSED, 10**9)
    assert Phase.ROLLED_BACK is advance(LADDER, paused, FAILED, 10**9).rollout.phase


@pytest.mark.parametrize(
    ("doubt", "why"),
    [
        ("", "too few samples could be compared yet. Errors"),
        ("Nobody is split.", "the evidence is not conclusive yet. Nobody is split. Errors"),
    ],
)
def test_a_step_that_is_held_says_what_it_lacks(doubt: str, why: str) -> None:
    held = advance(LADDER, FIRST, replace(UNSURE, doubt=doubt), 300_000)

    assert f"Held at 5 %: {why} INCONCLUSIVE." == held.reason


def test_a_hold_is_told_once() -> None:
    held = advance(LADDER, FIRST, UNSURE, 300_000)
    again = advance(LADDER, held.rollout, UNSURE, 360_000)

    assert held.reason.startswith("Held at 5 %")
    assert Advance(held.rollout) == again


def test_a_hold_that_takes_too_long_is_told_once_more() -> None:
    held = advance(LADDER, FIRST, UNSURE, 300_000).rollout
    late = advance(LADDER, held, UNSURE, 1_500_000)

    assert late.reason.startswith("Still held: no conclusive evidence at 5 % for 1200 s")
    assert Phase.RAMPING is late.rollout.phase
    assert Advance(late.rollout) == advance(LADDER, late.rollout, UNSURE, 1_560_000)


def test_a_hold_that_takes_too_long_is_rolled_back_where_the_strategy_says_so() -> None:
    strict = replace(LADDER, when_waiting="rollback")
    held = advance(strict, FIRST, UNSURE, 300_000).rollout

    assert Phase.RAMPING is advance(strict, held, UNSURE, 1_499_999).rollout.phase
    assert Phase.ROLLED_BACK is advance(strict, held, UNSURE, 1_500_000).rollout.phase


def test_a_hold_ends_when_the_evidence_is_there() -> None:
    held = advance(LADDER, FIRST, UNSURE, 300_000).rollout
    moved = advance(LADDER, held, SAMPLED, 360_000).rollout

    assert (2, None) == (moved.step, moved.waiting_since)


def test_a_ladder_that_ends_below_everything_waits_for_a_person() -> None:
    half = replace(LADDER, steps=LADDER.steps[:2], when_waiting="rollback")
    held = advance(half, SECOND, PASSED, 900_000)

    assert held.reason == (
        "Held at 25 %: balanced ends there. "
        "Promote or abort it: `llmopt deployments promote|abort r`."
    )
    assert Advance(held.rollout) == advance(half, held.rollout, PASSED, 10**9)


def test_a_ladder_that_was_cut_short_holds_as_its_last_rung() -> None:
    short = replace(LADDER, steps=LADDER.steps[:1])

    assert Advance(SECOND) == advance(short, SECOND, PASSED, 599_999)
    assert "ends there" in advance(short, SECOND, PASSED, 600_000).reason


def test_a_rollout_without_traffic_has_cost_nothing() -> None:
    assert roll_back(PENDING, "Aborted.", 10**9).reason == "Aborted."


def test_nothing_follows_an_end() -> None:
    over = {Phase.PROMOTED, Phase.VERIFIED, Phase.ROLLED_BACK, Phase.REJECTED}

    assert over == {phase for phase in NEXT if not NEXT[phase]}
