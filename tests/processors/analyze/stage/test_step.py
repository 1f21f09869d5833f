"""What the analysis says as windows close."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.analyze.forecast import forecast
from processors.analyze.stage import fresh, step
from processors.analyze.stage.policy import DAYS, HOURS, AnalyzePolicy
from processors.analyze.stage.step import due
from processors.analyze.trend.mann_kendall import mann_kendall
from schemas.codec import Codec, pack
from schemas.command import Command, CommandKind
from schemas.consistent import inspect
from schemas.flow import Input
from schemas.insight import FRESH_MS, InsightKind
from schemas.registry import LocalRegistry
from schemas.rollout import Phase
from schemas.topics import COMMANDS, INSIGHTS
from tests.processors.analyze.stage.world import (
    BEGIN,
    MOMENT,
    POLICY,
    SCOPE,
    World,
    calm,
    deployment,
    key,
    noisy,
    of,
    shifted,
    window,
)

MINUTE, HOUR = 60_000, 3_600_000


def rising(count: int, name: str = "1m", by: float = 0.01) -> list[object]:
    said = noisy(3, count)
    for n, each in enumerate(said):
        each["latency"] *= 1 + by * n
    return [window(n, name=name, **each) for n, each in enumerate(said)]


@pytest.mark.parametrize(("name", "count"), [("1m", 120), ("1h", 100), ("24h", 40)])
def test_a_latency_that_climbs_is_degrading_with_the_slope_of_sen(name: str, count: int) -> None:
    records = rising(count, name)
    told = of(World().feed(records), "trend")[-1]
    past = [each.window.metrics["latency_ms"].p95 for each in records]  # type: ignore[attr-defined]  # each a window
    n = round((told.end - told.start) / (records[0].window.end - records[0].window.start))  # type: ignore[attr-defined]  # the same
    end = round((told.end - BEGIN) / (told.end - told.start) * n)
    hours = np.arange(n) * {"1m": 1 / 60, "1h": 1.0, "24h": 24.0}[name]
    found = mann_kendall(hours, np.array(past[end - n : end]), 0.998)

    assert "degrading" == told.direction
    assert pytest.approx(found.slope, rel=1e-5) == told.value
    assert (told.low, told.high) == pytest.approx((found.low, found.high), rel=1e-5)


def test_every_window_has_its_forecasts_some_steps_ahead() -> None:
    records = calm(100, name="1h")
    told = of(World().feed(records), "forecast")
    past = np.array([each.window.metrics["latency_ms"].p95 for each in records])
    wanted = forecast(past, 24)
    newest = [each for each in told if each.end == records[-1].window.end]

    assert [1, 6, 24] == [(each.at - each.end) // HOUR for each in newest]
    assert [f"{SCOPE}|forecast|p95_latency_ms|1h|+{k}" for k in (1, 6, 24)] == [
        each.id for each in newest
    ]
    for each, k in zip(newest, (0, 5, 23), strict=True):
        assert (each.value, each.low, each.high) == pytest.approx(
            (wanted.mean[k], wanted.low[k], wanted.high[k]), rel=1e-5
        )


def test_a_change_is_dated_and_has_the_rollout_of_its_time_as_its_cause() -> None:
    rollout = deployment(60, 1, Phase.RAMPING)
    earlier = deployment(20, 1, Phase.RAMPING, id="r-0")
    told = of(World().feed([rollout, earlier, *shifted(100, 61, 1.5)]), "change_point")
    last = told[-1]

    assert BEGIN + 61 * MINUTE == last.at
    assert 1 == len({each.id for each in told})
    assert ("degrading", "r-1") == (last.direction, last.causes[0].id)
    assert pytest.approx(150, rel=0.05) == last.value
    assert pytest.approx(100, rel=0.05) == last.reference
    assert last.causes[0].share > 0.5
    assert "openai/gpt-4o-mini was given 25 % of the traffic" in last.sentence


def test_a_change_that_was_said_is_said_again_only_when_it_differs() -> None:
    world = World()
    first = of(world.feed(shifted(80, 60, 1.5)), "change_point")
    more = of(world.feed(shifted(140, 60, 1.5)[80:]), "change_point")

    assert BEGIN + 60 * MINUTE == first[-1].at
    assert len(first) < 4
    assert [] == more


def test_a_trend_that_goes_on_is_said_again_while_the_last_word_still_tells() -> None:
    """A rule that asks for it counts on nothing older (`FRESH_MS`)."""
    ends = [each.end for each in of(World().feed(rising(300)), "trend")]
    gaps = np.diff(ends) // MINUTE

    assert BEGIN + 295 * MINUTE <= ends[-1] + 15 * MINUTE
    assert gaps.max() == 15
    assert FRESH_MS["1m"] == 30 * MINUTE
    assert gaps.min() >= 5


def test_a_cause_that_is_told_late_corrects_the_change() -> None:
    world = World()
    rows = shifted(100, 60, 1.5)
    before = of(world.feed(rows[:80]), "change_point")[-1]
    late = world.feed([deployment(59.5, 1, Phase.PROMOTED), *rows[80:]])
    (told,) = of(late, "change_point")

    assert (before.id, True) == (told.id, told.holds)
    assert before.revision < told.revision
    assert () == before.causes
    assert "r-1" == told.causes[0].id


def test_what_no_longer_shows_is_taken_back() -> None:
    world = World()
    rows = shifted(80, 60, 1.5)
    before = of(world.feed(rows), "change_point")[-1]
    (told,) = of(world.feed([*calm(80)[60:80], *calm(5, first=80)]), "change_point")

    assert (before.id, False) == (told.id, told.holds)
    assert before.revision < told.revision
    assert (before.at, "inconclusive") == (told.at, told.direction)
    assert told.sentence.startswith("No longer found")


def test_a_change_stands_when_the_time_before_it_is_forgotten() -> None:
    world = World()
    told = of(world.feed(shifted(240, 60, 1.5)), "change_point")
    past = world.state.entries[f"{SCOPE}|1m"].past

    assert all(each.holds for each in told)
    assert told[-1].end < BEGIN + 90 * MINUTE
    assert past is not None
    assert not [key for key in past.said if key.startswith("change_point|p95")]


def test_a_late_revision_of_an_hour_corrects_what_was_said_at_once() -> None:
    world = World()
    rows = calm(60, name="1h")
    said = {each.id: each for each in world.feed(rows)}
    values = noisy(0, 60)[40] | {"latency": 10_000.0, "revision": 2}
    told = world.feed([window(40, name="1h", **values)])
    corrected = of(told, "forecast")

    assert {"revised": 1, "looks": 1} == {k: world.counts[k] for k in ("revised", "looks")}
    assert corrected
    assert all(
        each.revision == said[each.id].revision + 1 and each.end == said[each.id].end
        for each in corrected
    )


def test_a_late_revision_of_a_minute_counts_from_the_next_look_on() -> None:
    rows = calm(100)
    late = window(50, **(noisy(0, 100)[50] | {"latency": 3_000.0}))
    straight, corrected = World(), World()
    straight.feed([*rows[:50], late, *rows[51:]])
    corrected.feed([*rows[:90], late, *rows[90:]])
    told = {each.id: each.value for each in straight.feed(calm(5, seed=9, first=100))}
    again = {each.id: each.value for each in corrected.feed(calm(5, seed=9, first=100))}
    forecasts = [name for name in told if "|forecast|" in name]

    assert forecasts
    assert [told[name] for name in forecasts] == [again[name] for name in forecasts]


def test_a_revision_that_changes_nothing_or_is_too_late_is_left_out() -> None:
    world = World()
    rows = calm(200)
    world.feed(rows)
    before = world.state

    assert [] == world.feed([rows[150], window(10, latency=5.0)])
    assert before is world.state


def test_gaps_and_thin_windows_stay_gaps() -> None:
    rows = [row for n, row in enumerate(calm(120)) if not 40 <= n < 70]
    thin = [window(n, requests=10, errors=0, scores=2) for n in range(40, 70)]
    (without, with_thin), names = (World(), World()), ("trend", "forecast", "change_point")
    told = [each for each in without.feed(rows) if each.metric != "requests"]
    both = sorted([*rows, *thin], key=lambda row: row.window.start)
    also = [each for each in with_thin.feed(both) if each.metric != "requests"]

    assert told
    assert [
        (e.id, e.value) for k in names for e in told if e.kind.value == k and e.end > BEGIN + 6e6
    ] == [(e.id, e.value) for k in names for e in also if e.kind.value == k and e.end > BEGIN + 6e6]


@pytest.mark.parametrize("count", [1, 19])
def test_little_evidence_says_nothing(count: int) -> None:
    assert [] == World().feed([*calm(count), *calm(count, name="1h"), *calm(8, name="24h")])


def test_a_past_that_is_mostly_gaps_says_nothing() -> None:
    assert [] == World().feed(calm(120)[::3])


def test_a_trend_of_which_too_little_is_left_is_taken_back() -> None:
    world = World()
    assert of(world.feed(rising(120)), "trend")
    told = of(world.feed(calm(5, first=230)), "trend")

    assert [False] == [each.holds for each in told]


def test_scopes_take_turns_and_each_is_looked_at_every_fifth_minute() -> None:
    names = [f"s{i}/e" for i in range(500)]
    looks = Counter(
        n
        for scope in names
        for n in range(5)
        if due(MINUTE, 5, scope, (n - 1) * MINUTE, n * MINUTE)
    )

    assert 500 == sum(looks.values())
    assert max(looks.values()) < 150
    assert all(due(HOUR, 1, scope, 0, HOUR) for scope in names)
    assert due(MINUTE, 5, SCOPE, 0, 7 * MINUTE)


def test_open_windows_keys_and_other_lengths_pass_by() -> None:
    state = fresh()
    own = {"model": "m", "provider": "p", "config_version": "v", "cohort": "stable"}
    rows = [window(0, closed=False), window(0, **own), window(0, name="5m"), object(), None]
    outcome = step(POLICY, state, [Input("t", i, row) for i, row in enumerate(rows)], MOMENT)

    assert state is outcome.state
    assert ((), {}, {}) == (outcome.emits, outcome.changes, outcome.counts)


def test_no_input_leaves_the_state_as_it_is() -> None:
    world = World()
    world.feed(calm(60))
    outcome = step(POLICY, world.state, [], MOMENT)

    assert world.state is outcome.state
    assert ((), {}, {}) == (outcome.emits, outcome.changes, outcome.counts)


def mixed() -> list[object]:
    """Windows of all lengths in the order of their ends, with rollouts at their times."""
    rows = [
        *shifted(150, 70, 1.4),
        *calm(30, name="1h"),
        window(60, latency=900.0, revision=2),
        window(3, name="1h", latency=900.0, revision=2),
    ]
    rows += [key(n, "big", quality=90.0 + n % 2) for n in range(30)]
    rows += [key(n, "small", requests=300 + n) for n in range(0, 30, 2)]
    events = [deployment(70, 1, Phase.RAMPING), deployment(80, 2, Phase.PROMOTED)]
    timed: list[tuple[int, int, object]] = [(event.at, 0, event) for event in events]
    for row in rows:
        late = (row.window.revision - 1) * 40 * MINUTE
        timed.append((row.window.watermark + late, 1 + row.window.pooled, row))
    return [each for _, _, each in sorted(timed, key=lambda t: t[:2])]


RECORDS = mixed()


@pytest.fixture(scope="module")
def whole() -> World:
    world = World()
    world.told = [msgspec.json.encode(each) for each in world.each(RECORDS)]  # type: ignore[attr-defined]  # kept for the tests
    return world


@given(cuts=st.lists(st.integers(0, len(RECORDS)), max_size=8), restart=st.integers(0, 8))
@settings(max_examples=8)
def test_batches_do_not_matter_and_the_changelog_is_the_state(
    whole: World, cuts: list[int], restart: int
) -> None:
    world, told = World(), []
    for i, (a, b) in enumerate(pairwise([0, *sorted(cuts), len(RECORDS)])):
        if i == restart:
            world.restart()
        told += [msgspec.json.encode(each) for each in world.feed(RECORDS[a:b])]

    assert sorted(whole.told) == sorted(told)  # type: ignore[attr-defined]  # see there
    assert whole.entries == world.entries
    assert whole.entries == {key: pack(each) for key, each in world.state.entries.items()}


def test_every_insight_is_a_record_and_revisions_of_an_id_rise() -> None:
    codec = Codec(LocalRegistry())
    seen: dict[str, int] = {}
    told = World().feed(RECORDS)

    assert {*InsightKind} == {each.kind for each in told}
    for each in told:
        inspect(each)
        assert seen.get(each.id, 0) < each.revision
        seen[each.id] = each.revision
        assert each == codec.decode(INSIGHTS, codec.encode(INSIGHTS, each))


def test_the_state_of_a_scope_is_bounded() -> None:
    rng = np.random.default_rng(5)
    world = World()
    wild = [
        {**said, "latency": float(rng.lognormal(4, 1.5) * (1 + 9 * (n // 8 % 2)))}
        for n, said in enumerate(noisy(5, 300))
    ]
    world.feed(window(n, **said) for n, said in enumerate(wild))
    world.feed(window(n, name="1h", **said) for n, said in enumerate(wild[:230]))
    world.feed(window(n, name="24h", **said) for n, said in enumerate(wild[:70]))
    world.feed(
        deployment(n, k, Phase.PROMOTED, id=f"r-{n}") for n in range(0, 300, 4) for k in (1, 2)
    )

    sizes = {key.rpartition("|")[2]: len(each) for key, each in world.entries.items()}
    assert sizes["1m"] < 8 * 1024
    assert sizes["1h"] < 16 * 1024
    assert sizes["24h"] < 8 * 1024
    assert sizes["ground"] < 32 * 1024


def test_a_state_of_other_metrics_begins_anew() -> None:
    world = World()
    world.feed(calm(100))
    world.policy = replace(POLICY, measures=POLICY.measures[:2])

    assert [] == world.feed(calm(1, first=100))
    assert 8 == len(world.state.entries[f"{SCOPE}|1m"].past.values)  # type: ignore[union-attr]  # it is there


def command(scope: str = SCOPE) -> Input:
    told = Command(id="c", kind=CommandKind.BASELINE, scope=scope, at=BEGIN, by="ada")
    return Input(COMMANDS.name, 0, told)


def test_a_person_makes_the_last_week_the_golden_baseline() -> None:
    world = World()
    world.feed(calm(192, name="1h"))
    state = step(POLICY, world.state, [command()], MOMENT).state
    kept = [e for e in state.entries[f"{SCOPE}|ground"].ground.baselines if e.kind == "golden"]  # type: ignore[union-attr]  # it is there

    assert sorted(POLICY.columns) == [each.metric for each in kept]
    assert {(1, BEGIN + 24 * HOUR, 168 * 4)} == {
        (each.version, each.start, len(each.values)) for each in kept
    }


@pytest.mark.parametrize("scope", ["*", "unknown/one", SCOPE])
def test_of_all_scopes_or_an_unknown_or_a_young_one_no_baseline_is_made(scope: str) -> None:
    world = World()
    world.feed(calm(3, name="1h"))
    outcome = step(POLICY, world.state, [command(scope)], MOMENT)

    assert world.state is outcome.state
    assert ({} if scope == "*" else {"golden_refused": 1}) == outcome.counts


def test_the_command_is_left_to_the_task_of_its_scope() -> None:
    world = World()
    world.feed(calm(100, name="1h"))
    others = [replace(MOMENT, partition=p, partitions=4) for p in range(4)]
    obeyed = [step(POLICY, world.state, [command()], m).state is not world.state for m in others]

    assert 1 == sum(obeyed)


def test_insights_go_to_the_partition_of_their_windows() -> None:
    rows = [Input("t", n, row) for n, row in enumerate(calm(40))]
    outcome = step(POLICY, fresh(), rows, replace(MOMENT, partition=7))

    assert {(INSIGHTS.name, SCOPE, 7)} == {(e.topic, e.key, e.partition) for e in outcome.emits}


def test_days_and_hours_are_spans_of_their_own() -> None:
    told = World().feed([*calm(30, name="24h"), *calm(60, name="1h")])

    assert {"24h", "1h"} == {each.window for each in told}
    assert (DAYS.length, HOURS.length) == (24 * HOUR, HOUR)
    assert isinstance(POLICY, AnalyzePolicy)
