from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from processors.actuate.critical import critical
from processors.actuate.policy import ActuatePolicy
from processors.actuate.step import step
from schemas.catalog import Model, Step
from schemas.flow import Input
from schemas.rollout import Phase, Verdict

MINUTE = 60_000


def test_a_good_candidate_climbs_the_ladder_and_becomes_stable(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    begun = play.clock
    play.minutes(20)

    assert [
        (Phase.PENDING, 0, 0),
        (Phase.RAMPING, 0, 500),
        (Phase.RAMPING, 5, 5_000),
        (Phase.PROMOTED, 15, 10_000),
    ] == [(e.phase, (e.at - begun) // MINUTE, e.share) for e in play.events]
    assert (3, world.NEW, None, None) == (
        play.config.revision,
        play.config.stable,
        play.config.candidate,
        play.config.split,
    )
    assert Verdict.PASS is play.last.verdict


def test_a_slow_candidate_is_rolled_back_to_the_very_same_config(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    stable = play.config.stable
    play.minutes(10, latency=900.0)

    assert (Phase.ROLLED_BACK, Verdict.FAIL, 0) == (
        play.last.phase,
        play.last.verdict,
        play.last.share,
    )
    assert play.last.reason.startswith("Worse in latency:")
    assert "requests were served by the candidate in" in play.last.reason
    assert Verdict.FAIL is next(g for g in play.last.guardrails if g.metric == "latency").verdict
    assert (stable, None, None) == (
        play.config.stable,
        play.config.candidate,
        play.config.split,
    )


def test_a_candidate_that_fails_outright_goes_after_one_minute(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(1, error_rate=0.3)

    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason.startswith("Critical: 60 of 200 requests")


def test_a_paused_rollout_is_still_taken_back(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("pause"))
    play.minutes(10, latency=900.0)

    assert (Phase.PAUSED, Phase.ROLLED_BACK) == (play.last.previous, play.last.phase)


def test_each_minute_leaves_a_look_at_the_rollout_paused_or_not(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(2)
    play.feed(world.command("pause"))
    play.minutes(2)

    ramping, paused = Phase.RAMPING, Phase.PAUSED
    assert [ramping, ramping, paused, paused] == [look.phase for look in play.looks]
    assert {(play.last.id, world.SCOPE, 500)} == {
        (look.id, look.scope, look.share) for look in play.looks
    }
    assert [0, 200, 400, 600] == [look.candidate_requests for look in play.looks]
    assert play.clock == play.looks[-1].at


def test_the_look_that_takes_a_candidate_back_says_what_it_saw(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(10, latency=900.0)
    look = play.looks[-1]

    assert (Phase.RAMPING, Verdict.FAIL, 500) == (look.phase, look.verdict, look.share)
    assert (play.last.at, play.last.guardrails) == (look.at, look.guardrails)


def test_nothing_is_looked_at_before_there_is_traffic_to_see(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.deploy(current=world.OLD))
    play.minutes(3)

    assert (Phase.PENDING, []) == (play.last.phase, play.looks)


def test_a_minute_before_the_share_has_settled_is_no_evidence(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(1)

    assert (0, 200) == (play.entry.rollout.evidence.minutes, play.entry.rollout.requests)

    play.minutes(1)

    assert (1, 400) == (play.entry.rollout.evidence.minutes, play.entry.rollout.requests)


def test_a_minute_after_a_rung_has_to_settle_too(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(5)

    assert (2, 4) == (play.entry.rollout.step, play.entry.rollout.evidence.minutes)

    play.minutes(2)

    assert 5 == play.entry.rollout.evidence.minutes


def test_a_revised_minute_counts_once(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(2)
    before = play.state
    revised = [
        replace(r, window=replace(r.window, revision=2)) for r in play.rows(play.clock - MINUTE)
    ]

    assert [] == play.feed(*revised)
    assert before is play.state


def test_a_minute_still_open_is_no_minute(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(1)
    before = play.state
    play.feed(*(replace(r, window=replace(r.window, closed=False)) for r in play.rows(play.clock)))

    assert before is play.state


def test_rows_of_other_configs_are_no_evidence(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(1)
    for _ in range(3):
        play.feed(
            world.row(play.clock, cohort="candidate", version="v-else", errors=900),
            world.row(play.clock, cohort="stable", version="v-else"),
            world.row(play.clock, config=None),
        )
        play.clock += MINUTE

    assert (Phase.RAMPING, 0) == (play.last.phase, play.entry.rollout.evidence.minutes)


def test_a_rollout_without_traffic_is_held_and_says_so(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(10, requests=20)

    assert (Phase.RAMPING, Phase.RAMPING, Verdict.INCONCLUSIVE, 500) == (
        play.last.previous,
        play.last.phase,
        play.last.verdict,
        play.last.share,
    )
    assert play.last.reason.startswith("Held at 5 %: too few samples could be compared yet.")
    assert 3 == len(play.events)


def test_a_model_that_is_disabled_is_taken_back(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    off = Model(provider="openai", model="small", enabled=False)
    models = {**world.CATALOG.models, "openai/small": off}
    play.policy = ActuatePolicy(catalog=replace(world.CATALOG, models=models))
    play.minutes(1)

    assert Phase.ROLLED_BACK is play.last.phase
    assert "is disabled in the catalog" in play.last.reason

    play.policy = ActuatePolicy(catalog=world.CATALOG)
    play.feed(world.deploy("d2", at=play.clock))

    assert Phase.RAMPING is play.last.phase


def test_a_rollout_whose_strategy_is_gone_is_taken_back(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.policy = ActuatePolicy(catalog=replace(world.CATALOG, strategies={}))
    play.minutes(1)

    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason.startswith("Strategy 'balanced' is no longer in the catalog.")


def test_a_ladder_that_grows_is_followed(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    steps = (*world.BALANCED.steps[:1], Step(share=0.1, hold_s=60), *world.BALANCED.steps[1:])
    strategies = {"balanced": replace(world.BALANCED, steps=steps)}
    play.policy = ActuatePolicy(catalog=replace(world.CATALOG, strategies=strategies))
    play.minutes(5)

    assert (2, 4, 1_000) == (play.last.step, play.last.steps, play.last.share)


def test_without_inputs_the_state_stays_the_same(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    outcome = step(play.policy, play.state, [], play.moment)

    assert outcome.state is play.state
    assert ((), {}, {}) == (outcome.emits, outcome.changes, outcome.counts)


def test_a_tombstone_is_passed_over(world: ModuleType) -> None:
    play = world.Play()
    outcome = step(play.policy, play.state, [Input("llmopt.commands.v1", 0, None)], play.moment)

    assert outcome.state is play.state


def test_what_was_written_is_counted(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    outcome = step(
        play.policy,
        play.state,
        [Input("llmopt.decisions.v1", 1, world.deploy(at=play.clock))],
        play.moment,
    )

    assert {"pending": 1, "ramping": 1, "configs": 1, "transitions": 6} == outcome.counts


@pytest.mark.parametrize(
    ("n", "errors", "stable_n", "stable_errors", "fires"),
    [
        (49, 49, 1000, 0, False),  # too few requests
        (200, 20, 1000, 0, False),  # 10 %, not more
        (200, 60, 1000, 0, True),
        (60, 20, 1000, 0, True),
        (200, 60, 1000, 100, True),  # three times the stable config's
        (200, 60, 1000, 300, False),  # an outage of both
        (100, 12, 1000, 50, False),  # nothing special in a scope that fails in 5 %
        (57, 7, 57, 0, False),  # as likely as seven heads in a row
        (100, 30, 100, 1, True),
    ],
)
def test_the_critical_trigger_tells_a_bad_candidate_from_a_bad_minute(
    world: ModuleType, n: int, errors: int, stable_n: int, stable_errors: int, *, fires: bool
) -> None:
    stable = [world.row(world.T0, stable_n, errors=stable_errors)]
    candidate = [world.row(world.T0, n, errors=errors, cohort="candidate")]
    sentence = critical(ActuatePolicy(), stable, candidate)

    assert fires == (sentence is not None)


def test_one_broken_session_is_one_error_to_the_critical_trigger(world: ModuleType) -> None:
    burst = world.row(world.T0, 200, errors=60)
    burst = replace(burst, window=replace(burst.window, error_units=(7,)))

    assert critical(ActuatePolicy(), [world.row(world.T0, errors=10)], [burst]) is None


def test_without_a_stable_cohort_the_critical_rate_itself_must_be_beyond_doubt(
    world: ModuleType,
) -> None:
    doubtful, clear = (world.row(world.T0, 200, errors=errors) for errors in (30, 60))

    assert critical(ActuatePolicy(), [], [doubtful]) is None
    assert critical(ActuatePolicy(), [], [clear]) is not None
