"""How a scope compares with its baselines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from processors.analyze.baseline import Baseline, BaselinePolicy, Kind, aligned
from processors.analyze.samples import beside
from processors.analyze.stage import step
from processors.analyze.stage.policy import HOURS, MINUTES, AnalyzePolicy, Measure
from processors.analyze.trend import Good
from schemas.catalog import Metric
from schemas.insight import Insight
from schemas.rollout import Phase
from tests.processors.analyze.stage.test_step import command
from tests.processors.analyze.stage.world import (
    BEGIN,
    MOMENT,
    POLICY,
    SCOPE,
    World,
    calm,
    deployment,
    noisy,
    of,
    window,
)

HOUR, DAY = 3_600_000, 86_400_000
FEW = tuple(each for each in POLICY.measures if each.metric is not Metric.REQUESTS)


def weeks(count: int, *, seed: int = 0, changed: int | None = None, **factors: float) -> list[Any]:
    """Hours with a day and night, times *factors* from hour *changed* on."""
    said = noisy(seed, count)
    for n, each in enumerate(said):
        each["latency"] *= 1 + 0.3 * np.sin(n * np.pi / 12)
        if changed is not None and n >= changed:
            for name, factor in factors.items():
                each[name] *= factor
    return [window(n, name="1h", **each) for n, each in enumerate(said)]


def quietly(world: World, rows: list[Any]) -> list[Insight]:
    """Feed with a look at the end of each day only."""
    spans = {"hours": replace(world.policy.hours, every=24)}
    policy, world.policy = world.policy, replace(world.policy, **spans)
    found = world.feed(rows)
    world.policy = policy
    return found


def told(insights: list[Insight], kind: str, metric: str = "p95_latency_ms") -> list[Insight]:
    return [each for each in of(insights, "comparison", metric) if each.subject.startswith(kind)]


def test_a_slower_day_is_worse_than_the_first_week_and_the_last() -> None:
    world = World()
    rows = weeks(230, changed=200, latency=1.5)
    quietly(world, rows[:229])
    found = world.feed(rows[229:])
    past = np.array([row.window.metrics["latency_ms"].p95 for row in rows], np.float32)
    times = BEGIN + np.arange(230) * HOUR
    first = Baseline(
        kind=Kind.INITIAL, version=1, taken_at=0, times=tuple(times[:168].tolist()),
        values=tuple(past[:168].tolist()),
    )  # fmt: skip
    wanted = aligned(first, times[-24:], past[-24:].astype(np.float64))
    assert wanted is not None
    (initial,), (rolling,) = told(found, "initial"), told(found, "rolling")

    assert ("degrading", "degrading") == (initial.direction, rolling.direction)
    assert "initial 1" == initial.subject
    assert pytest.approx((wanted.before, wanted.after)) == (initial.reference, initial.value)
    assert (initial.low, initial.high) == pytest.approx(wanted.difference[1:])
    assert (24, BEGIN + 206 * HOUR, BEGIN + 230 * HOUR) == (
        initial.samples, initial.start, initial.end,
    )  # fmt: skip
    assert rolling.relative == pytest.approx(0.5, abs=0.1)


def test_a_baseline_is_never_compared_with_its_own_time() -> None:
    world = World()
    quietly(world, weeks(190))

    assert [] == told(world.feed(weeks(191)[190:]), "initial")
    assert told(world.feed(weeks(192)[191:]), "initial")


def test_the_first_week_stays_the_first_and_the_last_is_taken_anew_each_day() -> None:
    world = World()
    quietly(world, weeks(480))
    ground = world.state.entries[f"{SCOPE}|ground"].ground
    assert ground is not None
    kept = {
        kind: [(b.version, (b.start - BEGIN) // HOUR) for b in ground.baselines if b.kind == kind
               and b.metric == "quality"]
        for kind in ("initial", "rolling", "peak")
    }  # fmt: skip

    assert [(1, 0)] == kept["initial"]
    assert 2 == len(kept["rolling"])
    assert kept["rolling"][1][1] - kept["rolling"][0][1] == 24
    assert [start % 24 for _, start in kept["peak"]] == [0]


def test_the_best_day_is_what_a_worse_one_is_compared_with() -> None:
    world = World()
    rows = weeks(100)
    for n in range(24, 48):
        rows[n] = window(n, name="1h", **{**noisy(0, 100)[n], "quality": 97.0 + n % 3})
    found = told(quietly(world, rows[:72]), "peak", "quality")[-1]

    assert ("degrading", 24) == (found.direction, found.samples)
    assert pytest.approx(98.0) == found.reference
    assert "welch_mann_whitney" == found.method


def test_a_golden_week_counts_from_when_a_person_says_so() -> None:
    world = World()
    quietly(world, weeks(180))
    world.state = step(POLICY, world.state, [command()], MOMENT).state
    quietly(world, weeks(209, changed=180, quality=0.9)[180:208])
    (found,) = told(world.feed(weeks(209, changed=180, quality=0.9)[208:]), "golden", "quality")

    assert ("golden 1", "degrading") == (found.subject, found.direction)


def test_of_a_baseline_of_two_weeks_an_hour_of_the_week_is_the_mean_of_both() -> None:
    policy = replace(
        POLICY, hours=replace(HOURS, kept=400), baselines=BaselinePolicy(span_ms=14 * DAY)
    )
    world, rows = World(policy=policy), weeks(360, changed=336, quality=0.9)
    quietly(world, rows[:336])
    world.state = step(policy, world.state, [command()], MOMENT).state
    (found,) = told(quietly(world, rows[336:]), "golden", "quality")
    quality = [each.window.metrics["quality"].mean for each in rows]
    expected = [(quality[n % 168] + quality[n % 168 + 168]) / 2 for n in range(336, 360)]

    assert pytest.approx(np.mean(expected), rel=1e-6) == found.reference


def test_what_is_as_before_again_is_taken_back() -> None:
    world = World()
    rows = weeks(260, changed=200, latency=1.5)
    usual = weeks(260)
    quietly(world, rows[:229])
    first = told(world.feed(rows[229:230]), "initial")
    quietly(world, usual[230:255])
    last = told(world.feed(usual[255:256]), "initial")

    assert [True] == [each.holds for each in first]
    assert [(first[0].id, "stable")] == [(each.id, each.direction) for each in last]


def test_next_to_no_difference_is_stable_and_an_unsure_one_is_nothing() -> None:
    world = World(policy=replace(POLICY, measures=FEW))
    steady = [
        window(n, name="1h", latency=100 + said["cost"], quality=90 + said["cost"])
        for n, said in enumerate(noisy(0, 230))
    ]
    found = [each for each in quietly(world, steady) if each.kind.value == "comparison"]

    assert {"stable"} == {e.direction for e in found if e.metric in ("quality", "p95_latency_ms")}
    assert [] == [each for each in found if each.metric == "error_rate"]


@pytest.mark.parametrize(("factor", "way"), [(1.3, "rising"), (0.7, "falling")])
def test_traffic_is_neither_better_nor_worse(factor: float, way: str) -> None:
    world = World()
    said = weeks(230, changed=200, requests=factor)
    rows = [
        replace(row, window=replace(row.window, requests=round(row.window.requests)))
        for row in said
    ]
    quietly(world, rows[:229])
    (found,) = told(world.feed(rows[229:]), "initial", "requests")

    assert way == found.direction


def test_among_many_comparisons_by_chance_few_are_said() -> None:
    said = 0
    for seed in range(30):
        world = World(policy=replace(POLICY, measures=FEW))
        quietly(world, weeks(229, seed=seed))
        said += any(
            each.kind.value == "comparison" and each.holds and each.direction != "stable"
            for each in world.feed(weeks(230, seed=seed)[229:])
        )

    assert said <= 5  # 3 baselines at 1 %: 0.9 of 30 are expected, 5 or fewer with 0.999


ROLLOUT = [deployment(70, 1, Phase.RAMPING), deployment(90, 2, Phase.PROMOTED)]


def after(factor: float, *, minutes: int = 160, seed: int = 0) -> list[Any]:
    """Minutes whose cost is *factor* times as high from minute 90 on."""
    said = noisy(seed, minutes)
    for each in said[90:]:
        each["cost"] *= factor
    return [window(n, **each) for n, each in enumerate(said)]


def test_the_hour_after_a_promotion_is_compared_once_with_the_hour_before_the_rollout() -> None:
    rows = after(0.5)
    found = told(World().feed([*ROLLOUT, *rows]), "snapshot", "cost_per_request_usd")
    cost = np.array([row.cost_per_request_usd for row in rows], np.float32).astype(np.float64)
    (wanted,) = beside({"cost": (cost[10:70], cost[90:150])}, {"cost": Good.DOWN})

    assert 1 == len(found)
    assert ("snapshot 1", "improving") == (found[0].subject, found[0].direction)
    assert (wanted.before, wanted.after) == pytest.approx((found[0].reference, found[0].value))
    assert (found[0].low, found[0].high) == pytest.approx(wanted.difference[1:])
    assert (BEGIN + 90 * 60_000, BEGIN + 150 * 60_000) == (found[0].start, found[0].end)
    assert "the time before rollout r-1" in found[0].sentence


def test_nothing_is_compared_before_the_hour_is_over_or_after_a_rollback() -> None:
    back = [ROLLOUT[0], deployment(90, 2, Phase.ROLLED_BACK)]

    assert [] == told(World().feed([*ROLLOUT, *after(0.5)[:149]]), "snapshot")
    assert [] == of(World().feed([*back, *after(0.5)]), "comparison", "cost_per_request_usd")


def test_too_few_minutes_before_a_rollout_are_no_snapshot() -> None:
    early = [deployment(15, 1, Phase.RAMPING), deployment(30, 2, Phase.PROMOTED)]

    assert [] == of(World().feed([*early, *after(0.5)]), "comparison", "cost_per_request_usd")


def test_a_late_minute_corrects_the_comparison() -> None:
    world = World()
    rows = after(0.5)
    (first,) = told(world.feed([*ROLLOUT, *rows]), "snapshot", "cost_per_request_usd")
    dear = [window(n, **{**noisy(0, 160)[n], "cost": 1.0}) for n in range(100, 150)]
    last = told(world.feed([*dear, *calm(5, first=160)]), "snapshot", "cost_per_request_usd")

    assert [(first.id, False)] == [(each.id, each.holds) for each in last]
    assert first.revision < last[0].revision


def test_only_the_newest_snapshots_are_kept_and_what_was_said_of_others_is_forgotten() -> None:
    world = World()
    for k in range(4):
        shift = 155 * k
        said = noisy(k, 155)
        for each in said[90:]:
            each["cost"] *= 0.5
        events = [
            deployment(shift + 70, 1, Phase.RAMPING, id=f"r-{k}"),
            deployment(shift + 90, 2, Phase.PROMOTED, id=f"r-{k}"),
        ]
        world.feed([*events, *(window(shift + n, **each) for n, each in enumerate(said))])
    ground, past = (world.state.entries[f"{SCOPE}|{key}"] for key in ("ground", "1m"))
    assert ground.ground is not None
    assert past.past is not None

    assert {2, 3, 4} == {b.version for b in ground.ground.baselines if b.kind == "snapshot"}
    assert {"snapshot 2", "snapshot 3", "snapshot 4"} == {
        key.rpartition("|")[2] for key in past.past.said if key.startswith("comparison|cost")
    }


def test_of_many_rollouts_in_an_hour_each_has_one_snapshot() -> None:
    world = World()
    many = [deployment(50 + 5 * k, 1, Phase.RAMPING, id=f"r-{k}") for k in range(6)]
    world.feed([*many, *calm(118)])
    ground = world.state.entries[f"{SCOPE}|ground"].ground
    assert ground is not None

    assert {(4, "r-3"), (5, "r-4"), (6, "r-5")} == {
        (each.version, each.subject) for each in ground.baselines
    }


def test_a_step_that_changes_nobody_is_no_cause_and_an_event_counts_once() -> None:
    world = World()
    events = [
        deployment(1, 1, Phase.PENDING),
        deployment(2, 2, Phase.RAMPING, candidate_model=None),
        deployment(2, 2, Phase.RAMPING, candidate_model=None),
        deployment(3, 3, Phase.ROLLED_BACK),
    ]
    world.each(events)
    ground = world.state.entries[f"{SCOPE}|ground"].ground
    assert ground is not None

    assert [2, 3] == [each.sequence for each in ground.events]
    assert [
        "the candidate was given 25 % of the traffic",
        "openai/gpt-4o-mini was taken back, openai/gpt-4o serves all",
    ] == [each.what for each in ground.events]


def test_the_newest_events_are_kept() -> None:
    world = World()
    world.feed(deployment(n, 1, Phase.RAMPING, id=f"r-{n}") for n in range(50))
    ground = world.state.entries[f"{SCOPE}|ground"].ground
    assert ground is not None

    assert [f"r-{n}" for n in range(18, 50)] == [each.id for each in ground.events]


def test_a_baseline_of_zeros_has_no_relative_change() -> None:
    policy = AnalyzePolicy(
        measures=(Measure(metric=Metric.ERROR_RATE, good=Good.DOWN, enough=20),),
        minutes=replace(MINUTES, every=1),
    )
    rows = [window(n, errors=0 if n < 90 else 20 + n % 9) for n in range(160)]
    found = told(World(policy=policy).feed([*ROLLOUT, *rows]), "snapshot", "error_rate")

    assert (0.0, None, "degrading") == (
        found[0].reference, found[0].relative, found[0].direction,
    )  # fmt: skip
