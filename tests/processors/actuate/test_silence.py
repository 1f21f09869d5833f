"""A rollout in a scope in which nothing is served any more."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.actuate.policy import ActuatePolicy
from processors.actuate.state import fresh
from processors.actuate.step import step
from schemas.catalog import Model, Step
from schemas.config import ScopeConfig
from schemas.rollout import Phase, Verdict

MINUTE = 60_000
YEAR = 365 * 86_400_000


def strict(world: ModuleType, **changes: Any) -> ActuatePolicy:
    """Rollouts that are taken back when the evidence does not come; so many at once."""
    limits = {"max_rollouts": changes.pop("max_rollouts", 5)}
    ladder = replace(world.BALANCED, when_waiting="rollback", **changes)
    return ActuatePolicy(catalog=replace(world.CATALOG, strategies={"balanced": ladder}), **limits)


def begun(world: ModuleType, policy: ActuatePolicy | None = None) -> Any:
    play = world.Play(policy=policy or strict(world))
    play.start()
    play.minutes(3)
    return play


def silences(play: Any) -> dict[str, Any]:
    """The two ways in which a scope is silent, minute by minute."""
    return {"while others are served": play.elsewhere, "with all others": play.hush}


WAYS = ("while others are served", "with all others")


@pytest.mark.parametrize("way", WAYS)
def test_it_is_held_and_then_given_up_as_inconclusive(world: ModuleType, way: str) -> None:
    play = begun(world)
    silences(play)[way](61)
    held = play.last
    told = silences(play)[way](3)

    assert (Phase.RAMPING, Verdict.INCONCLUSIVE) == (held.phase, held.verdict)
    assert held.reason.startswith("Held at 5 %: inconclusive, no request was served in this scope")
    assert 1 == sum(isinstance(emit.value, ScopeConfig) for emit in told)
    assert (Phase.ROLLED_BACK, Verdict.INCONCLUSIVE, 0) == (
        play.last.phase,
        play.last.verdict,
        play.last.share,
    )
    assert play.last.reason.startswith(
        "Gave up at 5 %: inconclusive, no request was served in this scope for 6"
    )
    assert 60 == (play.last.at - held.at) // MINUTE
    assert (None, world.OLD) == (play.config.candidate, play.config.stable)


@pytest.mark.parametrize("way", WAYS)
def test_the_candidate_is_not_blamed_for_it_and_no_failure_is_counted(
    world: ModuleType, way: str
) -> None:
    play = begun(world)
    silences(play)[way](70)
    play.minutes(70)
    play.feed(world.deploy("again", at=play.clock))

    assert 0 == play.state.scopes["*"].failures
    assert () == play.entry.failed
    assert Phase.RAMPING is play.last.phase


@pytest.mark.parametrize("way", WAYS)
def test_where_the_strategy_says_hold_it_is_held_but_takes_no_place(
    world: ModuleType, way: str
) -> None:
    play = begun(world, ActuatePolicy(catalog=world.CATALOG, max_rollouts=1))
    other = {"scope": "mail/draft", "current": world.OLD}
    play.feed(world.deploy("too soon", at=play.clock, **other))
    refused = play.last
    silences(play)[way](70)
    told = play.last
    play.feed(world.deploy("in time", at=play.clock, **other))

    assert refused.reason == (
        "1 rollouts are active in this partition, and its part of max_rollouts is 1."
    )
    assert told.reason.startswith("Still held at 5 %: inconclusive, no request was served")
    assert told.reason.endswith(
        f"Promote or abort it: `llmopt deployments promote|abort {told.id}`."
    )
    assert (Phase.RAMPING, 500) == (told.phase, told.share)
    assert ("mail/draft", Phase.PENDING) == (play.last.scope, play.last.phase)
    assert [] == silences(play)[way](10)


def test_it_takes_its_place_again_when_something_is_served(world: ModuleType) -> None:
    play = begun(world, ActuatePolicy(catalog=world.CATALOG, max_rollouts=1))
    play.elsewhere(70)
    quiet = play.entry.rollout.quiet
    play.minutes(1)

    assert (True, False) == (quiet, play.entry.rollout.quiet)

    play.minutes(20)

    assert Phase.PROMOTED is play.last.phase


@pytest.mark.parametrize("way", WAYS)
def test_evidence_from_before_does_not_lead_further(world: ModuleType, way: str) -> None:
    play = begun(world, ActuatePolicy(catalog=world.CATALOG))
    play.minutes(11)  # one minute later it would be promoted
    share = play.last.share
    silences(play)[way](30)

    assert (5_000, 5_000) == (share, play.last.share)
    assert (Phase.RAMPING, Verdict.INCONCLUSIVE) == (play.last.phase, play.last.verdict)

    play.minutes(1)

    assert (Phase.PROMOTED, Verdict.PASS) == (play.last.phase, play.last.verdict)


@pytest.mark.parametrize("way", WAYS)
def test_a_rollout_that_never_had_traffic_is_given_up(world: ModuleType, way: str) -> None:
    play = world.Play()
    play.feed(world.deploy(at=play.clock, current=world.OLD))
    silences(play)[way](62)

    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason == ("No traffic to measure by within 3600 s: nothing was started.")
    assert [] == play.configs


@pytest.mark.parametrize("way", WAYS)
def test_a_paused_one_waits_for_a_person_without_a_place_and_then_waits_anew(
    world: ModuleType, way: str
) -> None:
    play = begun(world)
    play.feed(world.command("pause"))
    told = silences(play)[way](70)
    quiet = play.entry.rollout.quiet
    play.feed(world.command("resume"))
    silences(play)[way](55)

    assert [] == told
    assert quiet
    assert play.last.reason.startswith("Held at 5 %")

    silences(play)[way](8)

    assert Phase.ROLLED_BACK is play.last.phase


@pytest.mark.parametrize("way", WAYS)
def test_one_without_traffic_is_quiet_while_its_task_is_held_and_given_up_afterwards(
    world: ModuleType, way: str
) -> None:
    play = world.Play(policy=strict(world))
    play.feed(world.deploy(at=play.clock, current=world.OLD))
    play.feed(world.command("pause", "*"))
    silences(play)[way](70)
    held = play.entry.rollout
    play.feed(world.command("resume", "*"))
    silences(play)[way](2)

    assert (Phase.PENDING, True) == (held.phase, held.quiet)
    assert Phase.ROLLED_BACK is play.last.phase


@pytest.mark.parametrize("way", WAYS)
def test_a_ladder_that_ends_below_everything_waits_for_a_person(
    world: ModuleType, way: str
) -> None:
    play = begun(world, strict(world, steps=(Step(share=0.05, hold_s=60),)))
    play.minutes(30)
    told = silences(play)[way](200)

    assert [] == told
    assert (Phase.RAMPING, True) == (play.entry.rollout.phase, play.entry.rollout.quiet)


@pytest.mark.parametrize("way", WAYS)
def test_what_the_catalog_forbids_is_taken_back_in_silence_too(world: ModuleType, way: str) -> None:
    play = begun(world)
    off = Model(provider="openai", model="small", enabled=False)
    models = {**world.CATALOG.models, "openai/small": off}
    play.policy = ActuatePolicy(catalog=replace(world.CATALOG, models=models))
    silences(play)[way](2)

    assert Phase.ROLLED_BACK is play.last.phase
    assert "is disabled in the catalog" in play.last.reason


def test_evidence_that_fails_by_a_new_margin_is_a_failure(world: ModuleType) -> None:
    play = begun(world, strict(world, tolerance=0.999, latency_margin=5.0))
    play.minutes(6, latency=900.0)
    climbing = play.last.phase
    play.policy = strict(world)
    play.elsewhere(2)

    assert Phase.RAMPING is climbing
    assert (Phase.ROLLED_BACK, Verdict.FAIL) == (play.last.phase, play.last.verdict)
    assert play.last.reason.startswith("Worse in latency:")
    assert 1 == len(play.entry.failed)


def test_a_minute_that_is_still_coming_in_is_no_silence(world: ModuleType) -> None:
    play = begun(world)
    play.minutes(1, requests=20)
    before = play.entry
    play.feed(world.row(play.clock, scope="mail/other", config=None))

    assert before == play.entry


def test_a_tick_before_a_minute_is_over_changes_nothing(world: ModuleType) -> None:
    play = begun(world)
    before = play.state
    play.hush(5, every=10_000)

    assert before is play.state

    play.hush(1, every=10_000)

    assert (MINUTE, 0) == (play.state.scopes["*"].clock.silent, before.scopes["*"].clock.silent)


def test_ticks_change_nothing_where_no_rollout_waits(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    before = play.state
    play.hush(200)

    assert before is play.state


def test_an_outage_of_the_workers_is_no_silence(world: ModuleType) -> None:
    play = begun(world)
    for epoch in range(4, 60):
        play.moment = replace(play.moment, epoch=epoch, now=play.moment.now + 10 * 3_600_000)
        play.feed()
        play.hush(1, every=MINUTE - 1)

    assert 0 == play.state.scopes["*"].clock.silent
    assert Phase.RAMPING is play.last.phase


def test_a_leap_of_the_clock_counts_two_minutes_at_most(world: ModuleType) -> None:
    play = begun(world)
    play.hush(1, every=YEAR)
    ahead = play.state.scopes["*"].clock.silent
    play.hush(1, every=-YEAR)
    play.hush(1)

    assert (2 * MINUTE, 3 * MINUTE) == (ahead, play.state.scopes["*"].clock.silent)


def test_a_rollout_from_before_anything_was_heard_is_watched_from_then_on(
    world: ModuleType,
) -> None:
    play = world.Play(policy=strict(world))
    play.feed(world.deploy(at=world.T0, current=world.OLD))

    assert (world.T0, 0) == (
        play.state.scopes["*"].clock.reached,
        play.state.scopes["*"].clock.silent,
    )


@pytest.mark.parametrize("away", [-40 * YEAR, 0, 40 * YEAR])
@pytest.mark.parametrize("pace", [0.1, 1.0, 60.0])
def test_how_fast_recorded_minutes_come_and_what_the_clock_says_plays_no_part(
    world: ModuleType, away: int, pace: float
) -> None:
    play = world.Play(policy=strict(world))
    play.moment = replace(play.moment, now=play.moment.now + away)

    def minutes(n: int) -> None:
        for _ in range(n):
            play.minutes(1)
            play.hush(int(6 / pace), every=10_000)

    minutes(1)
    play.feed(world.row(play.clock - 15 * MINUTE, 5000, config=None, window="15m"))
    play.feed(world.deploy(at=play.clock))
    minutes(20)
    steps = [e.share for e in play.events if e.reason.startswith(("The cand", "Passed"))]

    assert [500, 5_000, 10_000] == steps
    assert Phase.PROMOTED is play.last.phase


@settings(max_examples=20)
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(["served", "elsewhere", "ticks"]), st.integers(1, 40)),
        max_size=10,
    )
)
def test_a_replay_needs_only_the_steps_that_wrote_something(
    world: ModuleType, acts: list[tuple[str, int]]
) -> None:
    play = begun(world)
    journal: list[tuple[Any, Any]] = []
    state = play.state
    for what, n in acts:
        for _ in range(n):
            play.moment = replace(play.moment, now=play.moment.now + 25_000)
            first = len(play.inputs)
            if what == "served":
                play.minutes(1, requests=40)
            elif what == "elsewhere":
                play.elsewhere(1)
            before = play.state
            emits = len(play.emits)
            if what == "ticks":
                play.feed()
            inputs = play.inputs[first:]
            if inputs or len(play.emits) > emits or play.state is not before:
                journal.append((inputs, play.moment))
    for inputs, moment in journal:
        state = step(play.policy, state, inputs, moment).state

    assert play.state == state


def test_fresh_state_has_nothing_to_wait_for(world: ModuleType) -> None:
    outcome = step(strict(world), fresh(), [], world.MOMENT)

    assert (fresh(), ()) == (outcome.state, outcome.emits)
