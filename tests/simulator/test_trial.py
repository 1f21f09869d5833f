"""Identical candidates stay, worse ones go: through all stages, on the simulator's traffic."""

from __future__ import annotations

from dataclasses import replace

import pytest

from schemas.catalog import Step, Strategy
from schemas.rollout import Phase
from simulator.faults import Fault, Kind
from simulator.fleet import Endpoint, Fleet
from simulator.trial import BEFORE, trial

HOUR = 1_700_002_800_000  # a full one
LADDER = Strategy(
    name="ladder",
    steps=(
        Step(share=0.05, hold_s=300),
        Step(share=0.25, hold_s=600),
        Step(share=0.5, hold_s=10**7),
    ),
    min_samples=20,  # a fifth of the answers is scored
)
# Two names of one model: the same in everything that `truth` does not set apart.
STABLE, CANDIDATE = "anthropic/claude-3-5-haiku-20241022", "anthropic/claude-3-5-haiku-latest"
SAME = Endpoint(service="shop", endpoint="same", rate=300, default=STABLE)
WITHIN = {"quality": 45, "errors": 30, "latency": 15, "cost": 30}  # minutes, at 300 requests each
WORSE = (
    replace(
        SAME, endpoint="quality", truth={STABLE: {"quality": 90}, CANDIDATE: {"quality": 82.8}}
    ),
    replace(
        SAME,
        endpoint="errors",
        truth={STABLE: {"error_rate": 0.01}, CANDIDATE: {"error_rate": 0.05}},
    ),
    replace(SAME, endpoint="latency", truth={CANDIDATE: {"latency": 1.5}}),
    replace(SAME, endpoint="cost"),
)
DEARER = Fault(
    kind=Kind.PRICE, strength=1.3, endpoint="cost", provider="anthropic", model=CANDIDATE[10:]
)


@pytest.mark.parametrize("seed", [1, 2])
def test_each_harm_is_taken_back_within_its_minutes_and_for_its_own_reason(seed: int) -> None:
    fleet = Fleet(endpoints=(*WORSE, SAME), faults=(DEARER,), seed=seed, start=HOUR)
    *worse, same = trial(fleet, LADDER, max(WITHIN.values()), CANDIDATE)

    assert [(name,) for name in WITHIN] == [ending.failed for ending in worse]
    assert all(
        ending.minute <= minutes for ending, minutes in zip(worse, WITHIN.values(), strict=True)
    )
    assert Phase.RAMPING is same.phase


@pytest.mark.parametrize(
    ("kind", "strength", "harm"),
    [
        (Kind.OUTAGE, 0.5, "errors"),
        (Kind.SLOW, 1.5, "latency"),
        (Kind.QUALITY, 0.08, "quality"),
    ],
)
def test_a_fault_of_the_candidate_takes_it_back_once_it_has_begun_and_nowhere_else(
    kind: Kind, strength: float, harm: str
) -> None:
    elsewhere = replace(SAME, endpoint="elsewhere")
    minute = 10  # of the rollout
    begun = Fault(
        kind=kind,
        strength=strength,
        start=BEFORE + minute,
        endpoint="same",
        provider="anthropic",
        model=CANDIDATE[10:],
    )
    fleet = Fleet(endpoints=(SAME, elsewhere), faults=(begun,), seed=1, start=HOUR)
    hit, spared = trial(fleet, LADDER, minute + WITHIN[harm], CANDIDATE)

    assert (Phase.ROLLED_BACK, (harm,)) == (hit.phase, hit.failed)
    assert minute < hit.minute <= minute + WITHIN[harm]
    assert Phase.RAMPING is spared.phase


def test_tokens_that_cost_more_are_found_where_nobody_reports_the_cost() -> None:
    silent = replace(SAME, default="openai/gpt-4o-mini", reports_cost=False)
    fleet = Fleet(endpoints=(silent,), start=HOUR)
    (ending,) = trial(fleet, LADDER, 30, "openai/gpt-4.1-mini")

    assert ("cost",) == ending.failed


def test_of_ten_identical_candidates_hardly_one_is_taken_back_in_300_minutes() -> None:
    fleet = Fleet(
        endpoints=tuple(
            replace(SAME, endpoint=f"{rate}-{session}", rate=rate, session_minutes=session)
            for rate in (5, 20, 60, 120, 240)
            for session in (3, 12)
        ),
        seed=1,
        start=HOUR,
    )
    endings = trial(fleet, LADDER, 300)

    # at a true rate of 5 %, more than two of ten would be seen once in 90 times
    assert sum(ending.phase is not Phase.RAMPING for ending in endings) <= 2
    assert {300} == {ending.minute for ending in endings if ending.phase is Phase.RAMPING}


def test_all_scopes_are_on_trial_at_once_however_many_there_are() -> None:
    every = tuple(replace(SAME, endpoint=str(i), rate=2) for i in range(21))

    endings = trial(Fleet(endpoints=every, start=HOUR), LADDER, 2)

    assert [Phase.RAMPING] * 21 == [ending.phase for ending in endings]


def test_a_rollout_that_does_not_start_says_why() -> None:
    with pytest.raises(ValueError, match="is the stable config already"):
        trial(Fleet(endpoints=(SAME,), start=HOUR), LADDER, 5, STABLE)


HALF = Step(share=0.5, hold_s=300)
COPIES = Step(share=0.25, hold_s=300, shadow=True)
KINDS = {
    "shadow": Strategy(name="s", kind="shadow", steps=(COPIES,), min_samples=500),
    "rolling": Strategy(name="r", kind="rolling", steps=(HALF, Step(share=1.0, hold_s=0))),
    "blue_green": Strategy(name="b", kind="blue_green", steps=(HALF, Step(share=1.0, hold_s=300))),
    "ab": Strategy(name="a", kind="ab", steps=(HALF,), max_duration_s=1_500),
}


@pytest.mark.parametrize(
    ("kind", "better", "equal"),
    [
        ("shadow", Phase.VERIFIED, Phase.VERIFIED),
        ("rolling", Phase.PROMOTED, Phase.PROMOTED),
        ("blue_green", Phase.PROMOTED, Phase.PROMOTED),
        ("ab", Phase.PROMOTED, Phase.ROLLED_BACK),
    ],
)
def test_every_kind_of_rollout_comes_to_its_end(kind: str, better: Phase, equal: Phase) -> None:
    truth = {STABLE: {"quality": 85}, CANDIDATE: {"quality": 92}}
    wins, twin, loses = (
        replace(SAME, endpoint="wins", truth=truth, steady=True),
        replace(SAME, endpoint="twin", steady=True),
        replace(WORSE[1], steady=True),
    )
    required = replace(KINDS[kind], required=("errors", "quality"))
    endings = trial(
        Fleet(endpoints=(wins, twin, loses), seed=2, start=HOUR), required, 45, CANDIDATE
    )

    assert [better, equal, Phase.ROLLED_BACK] == [ending.phase for ending in endings]
    assert ("errors",) == endings[-1].failed or "Critical" in endings[-1].reason
