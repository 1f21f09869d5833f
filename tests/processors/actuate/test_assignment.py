"""A broken assignment is found, and sessions are not taken for one."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from bench.minutes import rows
from bench.traffic import World, simulate
from bench.verdicts import PAST, STRATEGY, ladder
from processors.actuate.advance import advance
from processors.actuate.assignment import LEVEL, Assignment, mismatch, observe
from processors.actuate.evidence import Evidence, fresh_evidence, reference
from processors.actuate.evidence import observe as take_in
from processors.actuate.judge import judge
from processors.actuate.rollout import Rollout
from processors.actuate.version import versioned
from schemas.catalog import Step, Strategy
from schemas.config import LlmConfig
from schemas.rollout import Phase, Verdict

MINUTES = 240


def called(shares: np.ndarray, seed: int, served: np.ndarray | None = None, **world: float) -> bool:
    """Whether the split was ever called broken; *served* is what the application does instead."""
    requests = simulate(World(**world), shares if served is None else served, seed)
    counts = np.bincount(requests.minute * 2 + requests.arm, minlength=2 * len(shares))
    assignment = Assignment()
    for share, (stable, candidate) in zip(shares, counts.reshape(-1, 2).tolist(), strict=True):
        assignment = observe(assignment, stable, candidate, int(share))
        if mismatch(assignment):
            return True
    return False


@pytest.mark.parametrize("session", [1.0, 4.0, 10.0])
@pytest.mark.parametrize("per_hour", [300.0, 5_000.0])
def test_sessions_and_bursts_are_not_taken_for_a_broken_split(
    per_hour: float, session: float
) -> None:
    rollouts = 12
    shares = ladder(MINUTES)
    wrong = sum(
        called(shares, seed, per_hour=per_hour, session=session) for seed in range(rollouts)
    )

    assert stats.binomtest(wrong, rollouts, LEVEL, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("served", [2_500, 8_000])
def test_an_instance_that_ignores_the_split_is_found(served: int) -> None:
    half = np.full(MINUTES, 5_000)

    assert all(called(half, seed, np.full(MINUTES, served)) for seed in range(5))


def test_where_there_is_nothing_to_split_nothing_is_counted() -> None:
    nothing = Assignment()

    assert "" == mismatch(nothing)
    assert nothing == observe(nothing, 0, 0, 5_000)
    assert nothing == observe(nothing, 10, 0, 0)
    assert nothing == observe(nothing, 0, 10, 10_000)


def test_requests_are_counted_at_the_share_then_in_force() -> None:
    assignment = observe(observe(observe(Assignment(), 95, 5, 500), 75, 25, 2_500), 90, 10, 500)

    assert ((500, 15, 185), (2_500, 25, 75)) == assignment.tallies


def broken(**world: float) -> Evidence:
    """Half an hour in which a candidate that should serve half of the units serves a fifth."""
    made = World(per_hour=12_000.0, session=1.0, bursts=0.1, dearer=0.5, slower=0.7, **world)
    earlier = rows(simulate(made, np.zeros(PAST, dtype=np.int64), 2))
    known = reference([row for stable, _ in earlier for row in stable])
    evidence = fresh_evidence()
    for i, (stable, candidate) in enumerate(rows(simulate(made, np.full(40, 2_000), 1))):
        evidence = take_in(evidence, stable, candidate, 5_000, known, i)
    return evidence


def test_a_broken_split_is_inconclusive_though_every_guardrail_passes() -> None:
    judgement = judge(STRATEGY, broken())

    assert {Verdict.PASS} == {g.verdict for g in judgement.guardrails}
    assert (Verdict.INCONCLUSIVE, False, False) == (
        judgement.verdict,
        judgement.sampled,
        judgement.ready,
    )
    assert judgement.doubt.endswith("reports the cohort it served.")
    assert " should have served 50.00%: the assignment is broken" in judgement.doubt


def test_a_candidate_that_fails_is_rolled_back_though_the_split_is_broken() -> None:
    judgement = judge(STRATEGY, broken(candidate_errors=0.5))

    assert Verdict.FAIL is judgement.verdict
    assert judgement.doubt


def test_a_rollout_is_held_on_a_broken_split_and_says_so() -> None:
    config = versioned(LlmConfig(version="", provider="openai", model="small"))
    rollout = Rollout(
        id="r",
        decision_id="d",
        strategy="s",
        stable=config,
        candidate=replace(config, version="other"),
        salt="",
        started_at=0,
        entered_at=0,
        phase=Phase.RAMPING,
        step=1,
        steps=2,
        share=5_000,
    )
    strategy = Strategy(name="s", steps=(Step(share=0.5, hold_s=60), Step(share=1, hold_s=0)))
    judgement = judge(strategy, broken())
    after = advance(strategy, rollout, judgement, 40 * 60_000)

    assert Phase.RAMPING is after.rollout.phase
    assert after.reason == f"Held at 50 %: the evidence is not conclusive yet. {judgement.doubt}"
