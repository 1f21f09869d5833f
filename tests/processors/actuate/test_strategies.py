from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest

from processors.actuate.advance import unmet
from processors.actuate.policy import ActuatePolicy
from schemas.catalog import Strategy
from schemas.config import Split
from schemas.rollout import Guardrail, Phase, Verdict

MINUTE = 60_000
KINDS = ("balanced", "blue-green", "dark green", "rolling", "ab", "shadow")


def story(play: Any) -> list[tuple[Phase, int, int]]:
    """Phase, share and copied share of each event after the first."""
    return [(event.phase, event.share, event.shadow) for event in play.events[1:]]


def changed(world: ModuleType, name: str, **changes: Any) -> ActuatePolicy:
    """The catalog with another such strategy."""
    strategies = dict(world.CATALOG.strategies)
    strategies[name] = replace(strategies[name], **changes)
    return ActuatePolicy(catalog=replace(world.CATALOG, strategies=strategies))


@pytest.mark.parametrize("strategy", KINDS)
def test_a_failing_candidate_is_taken_back_whatever_the_strategy(
    world: ModuleType, strategy: str
) -> None:
    play = world.Play()
    play.start(strategy=strategy)
    stable = play.config.stable
    play.minutes(12, latency=900.0)

    assert (Phase.ROLLED_BACK, Verdict.FAIL) == (play.last.phase, play.last.verdict)
    assert (stable, None, None) == (play.config.stable, play.config.candidate, play.config.split)
    assert world.NEW.version in {failure.version for failure in play.entry.failed}


def test_immediate_asks_for_no_evidence_and_no_past(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.deploy(strategy="immediate", current=world.OLD))

    assert [(Phase.PROMOTED, 10_000, 0)] == story(play)
    assert (world.NEW, None) == (play.config.stable, play.config.split)
    assert world.OLD == play.entry.previous()


def test_blue_green_serves_everybody_at_once_and_keeps_the_old_one_for_a_while(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.start(strategy="blue-green")
    play.minutes(8)
    warm = play.config
    play.minutes(10)

    assert (world.OLD, world.NEW, 10_000) == (warm.stable, warm.candidate, warm.split.share)
    assert [
        (Phase.RAMPING, 500, 0),
        (Phase.RAMPING, 10_000, 0),
        (Phase.PROMOTED, 10_000, 0),
    ] == story(play)
    assert 600_000 == play.last.at - play.events[2].at
    assert (world.NEW, None) == (play.config.stable, play.config.split)


def test_blue_green_goes_back_at_once_from_everybody(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="blue-green")
    play.minutes(8)
    play.minutes(1, error_rate=0.5)

    assert (Phase.ROLLED_BACK, MINUTE) == (play.last.phase, play.last.at - play.looks[-2].at)
    assert (world.OLD, None) == (play.config.stable, play.config.split)


def test_blue_green_may_be_checked_in_shadow_first(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="dark green")
    play.minutes(20)

    assert [
        (Phase.RAMPING, 0, 1_000),
        (Phase.RAMPING, 10_000, 0),
        (Phase.PROMOTED, 10_000, 0),
    ] == story(play)


def test_rolling_divides_instances_and_not_units(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="rolling")
    first = play.config.split
    play.minutes(20)

    assert Split(rollout_id=play.last.id, salt=play.last.id, share=2_500, by="instance") == first
    assert [
        (Phase.RAMPING, 2_500, 0),
        (Phase.RAMPING, 5_000, 0),
        (Phase.PROMOTED, 10_000, 0),
    ] == story(play)


def test_between_instances_a_unit_that_meets_both_is_not_held_against_the_candidate(
    world: ModuleType,
) -> None:
    def errors(strategy: str) -> tuple[tuple[int, int, int], ...]:
        play = world.Play()
        play.start(strategy=strategy)
        play.minutes(2, error_rate=0.005)
        return play.entry.rollout.evidence.errors.tallies

    assert () != errors("balanced")
    assert () == errors("rolling")


def test_an_ab_test_runs_until_one_is_better(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="ab")
    play.minutes(20, latency=270.0)

    assert [(Phase.RAMPING, 5_000, 0), (Phase.PROMOTED, 10_000, 0)] == story(play)
    assert play.last.reason == "Won: better in latency, worse in nothing."
    assert play.last.at - play.events[1].at >= 600_000


def test_an_ab_test_of_equals_ends_without_a_winner(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="ab")
    play.minutes(59)
    before = play.last
    play.minutes(1)

    assert Phase.RAMPING is before.phase
    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason.startswith("No winner within 3600 s: the stable config stays.")


@pytest.mark.parametrize("held", [False, True])
def test_any_rollout_may_have_a_longest_duration(world: ModuleType, *, held: bool) -> None:
    play = world.Play(policy=changed(world, "balanced", max_duration_s=1_200, min_quality=80.0))
    play.start()
    play.minutes(8)
    if held:
        play.feed(world.command("pause"))
    play.minutes(12)

    assert (Phase.ROLLED_BACK, 1_200_000) == (play.last.phase, play.last.at - play.events[1].at)
    assert play.last.reason.startswith("Not good enough within 1200 s: the stable config stays.")


def test_what_everybody_is_served_already_is_not_taken_back_for_its_duration(
    world: ModuleType,
) -> None:
    play = world.Play(policy=changed(world, "blue-green", max_duration_s=600))
    play.start(strategy="blue-green")
    play.minutes(20)

    assert Phase.PROMOTED is play.last.phase


@pytest.mark.parametrize("way", ["elsewhere", "hush"])
def test_an_ab_test_in_silence_ends_in_time_too(world: ModuleType, way: str) -> None:
    play = world.Play(policy=changed(world, "ab", max_wait_s=86_400))
    play.start(strategy="ab")
    play.minutes(3)
    getattr(play, way)(70)

    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason.startswith("No winner within 3600 s")


def test_a_shadow_that_passes_has_served_nobody(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="shadow")
    copied = play.config.split
    play.minutes(20)

    assert (0, 2_000) == (copied.share, copied.shadow)
    assert [(Phase.RAMPING, 0, 2_000), (Phase.VERIFIED, 0, 0)] == story(play)
    assert (world.OLD, None, None) == (
        play.config.stable,
        play.config.candidate,
        play.config.split,
    )
    assert Verdict.PASS is play.last.verdict
    assert () == play.entry.failed


def test_copies_say_nothing_of_who_serves_a_scope_and_are_no_past(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="shadow")
    past = play.entry.past
    play.minutes(3)
    play.feed(world.row(play.clock - 15 * MINUTE, 9_000, config=None, window="15m"))

    assert past == play.entry.past
    assert {"large"} == {seen.model for seen in play.entry.serving}


def test_a_strategy_that_becomes_of_another_kind_ends_its_rollouts(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.policy = changed(world, "balanced", kind="rolling")
    play.minutes(1)

    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason.startswith("Strategy 'balanced' was canary and is rolling now.")


@pytest.mark.parametrize(
    ("criterion", "sentence"),
    [
        ({"max_p95_latency_ms": 500.0}, "max_p95_latency_ms is 500, and the candidate's is 9"),
        ({"min_quality": 80.0}, "min_quality is 80, and the candidate's is unknown."),
    ],
)
def test_a_candidate_that_misses_a_criterion_is_held_before_its_promotion(
    world: ModuleType, criterion: dict[str, float], sentence: str
) -> None:
    play = world.Play(policy=changed(world, "balanced", **criterion))
    play.start()
    play.minutes(30)

    assert (Phase.RAMPING, 5_000) == (play.last.phase, play.last.share)
    assert sentence in play.last.reason


def test_each_criterion_is_held_against_its_own_metric() -> None:
    seen = {"errors": 0.03, "latency": 900.0, "quality": 79.0}
    strict = Strategy(
        name="s", steps=(), max_error_rate=0.02, max_p95_latency_ms=899.0, min_quality=80.0
    )
    lenient = replace(strict, max_error_rate=0.03, max_p95_latency_ms=900.0, min_quality=79.0)
    guardrails = [measured(metric, value) for metric, value in seen.items()]

    assert () == unmet(lenient, guardrails)
    assert (
        "max_error_rate is 0.02, and the candidate's is 0.03.",
        "max_p95_latency_ms is 899, and the candidate's is 900.",
        "min_quality is 80, and the candidate's is 79.",
    ) == unmet(strict, guardrails)


def measured(metric: str, value: float) -> Guardrail:
    """A guardrail that passed with this value of the candidate."""
    return Guardrail(
        metric=metric,
        verdict=Verdict.PASS,
        log_e=0.0,
        limit=4.0,
        stable_n=1,
        candidate_n=1,
        stable_value=None,
        candidate_value=value,
        upper_harm=None,
        margin=0.1,
        sentence="",
    )


def test_criteria_that_are_met_hold_nothing_up(world: ModuleType) -> None:
    met = {"max_error_rate": 0.05, "max_p95_latency_ms": 5_000.0}
    play = world.Play(policy=changed(world, "balanced", **met))
    play.start()
    play.minutes(30)

    assert Phase.PROMOTED is play.last.phase


def waiting(world: ModuleType, way: str, **changes: Any) -> Any:
    """A rollout that gets too few requests for its first step."""
    changes = {"when_waiting": way, "min_samples": 100_000, "max_wait_s": 600} | changes
    play = world.Play(policy=changed(world, "balanced", **changes))
    play.start()
    play.minutes(16)
    return play


def test_a_wait_that_is_extended_ends_after_so_many_times(world: ModuleType) -> None:
    play = waiting(world, "extend", max_extensions=2)
    first = play.last
    play.minutes(10)
    second = play.last
    play.minutes(10)

    assert "Still held: no conclusive evidence at 5 %" in first.reason
    assert ("extension 1 of 2" in first.reason, "extension 2 of 2" in second.reason) == (True,) * 2
    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason.startswith("Gave up: no conclusive evidence at 5 %")


@pytest.mark.parametrize("way", ["elsewhere", "hush"])
def test_a_wait_is_extended_in_silence_too(world: ModuleType, way: str) -> None:
    changes = {"when_waiting": "extend", "max_extensions": 1, "max_wait_s": 600}
    play = world.Play(policy=changed(world, "balanced", **changes))
    play.start()
    play.minutes(3)
    getattr(play, way)(40)

    assert [True, True] == [
        any(said in event.reason for event in play.events)
        for said in ("min: extension 1 of 1.", "Gave up at 5 %: inconclusive")
    ]


def test_a_wait_may_end_by_asking_a_person_who_approves_the_next_step(world: ModuleType) -> None:
    play = waiting(world, "ask")
    asked = play.last
    play.feed(world.command("approve", reason="seen enough"))

    assert asked.reason.startswith("Asked: no conclusive evidence at 5 %")
    assert f"`llmopt deployments approve {asked.id}`" in asked.reason
    assert asked.at + 86_400_000 == asked.asks_until
    assert (Phase.RAMPING, 5_000, "alice", None) == (
        *(play.last.phase, play.last.share),
        *(play.last.by, play.last.asks_until),
    )
    assert play.last.reason.startswith("Approved by alice: seen enough. The candidate serves 50 %")


@pytest.mark.parametrize("way", ["minutes", "elsewhere", "hush"])
def test_a_person_who_is_asked_in_vain_lets_the_rollout_be_given_up(
    world: ModuleType, way: str
) -> None:
    play = waiting(world, "ask", approval_expires_s=1_200)
    getattr(play, way)(26)

    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason.startswith("Nobody approved or rejected it in time.")


def test_evidence_that_comes_while_a_person_is_asked_goes_on_without_one(
    world: ModuleType,
) -> None:
    play = waiting(world, "ask", min_samples=10_000)
    play.minutes(5, 40_000)

    assert (Phase.RAMPING, 5_000, None) == (play.last.phase, play.last.share, play.last.asks_until)


@pytest.mark.parametrize(("strategy", "end"), [("ab", Phase.PROMOTED), ("shadow", Phase.VERIFIED)])
def test_a_persons_word_on_the_last_step_is_the_end(
    world: ModuleType, strategy: str, end: Phase
) -> None:
    ask = {"when_waiting": "ask", "min_samples": 100_000, "max_wait_s": 600}
    play = world.Play(policy=changed(world, strategy, **ask))
    play.start(strategy=strategy)
    play.minutes(3)
    play.hush(30)
    play.feed(world.command("approve"))

    assert end is play.last.phase
    assert play.last.reason.startswith("Approved by alice.")
