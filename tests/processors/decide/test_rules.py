from __future__ import annotations

from dataclasses import replace

import pytest

from processors.decide.condition import applies, holds, name_of
from processors.decide.state import ScopeState
from processors.decide.wording import words
from schemas.anomaly import Severity
from schemas.catalog import Condition, Metric, Rule
from schemas.decision import Action
from tests.processors.decide.world import (
    CHEAPER,
    NOON,
    SCOPE,
    World,
    actions,
    anomaly,
    minute,
    minutes,
    policy,
    window,
)

SLOW = Condition(metric=Metric.P95_LATENCY_MS, op=">", value=2000.0)


def alert(when: Condition, **fields: object) -> Rule:
    defaults: dict[str, object] = {"id": "alert", "cooldown_s": 3600, "max_per_day": 100}
    return Rule(name="alert", when=when, then="alert", **{**defaults, **fields})  # type: ignore[arg-type]  # plain fields


def fired_at(world: World, rows: list[object]) -> list[int]:
    """The minutes in which something was decided."""
    return [(decision.at - NOON) // 60_000 - 1 for row in rows for decision in world.feed(row)]


def test_a_rule_fires_in_the_minute_in_which_it_holds() -> None:
    world = World(policy(alert(SLOW)))

    assert [3] == fired_at(world, [*minutes(0, 3), *minute(3, latency=2500.0), *minutes(4, 3)])


def test_a_rule_rests_for_its_cooldown_of_event_time() -> None:
    world = World(policy(alert(SLOW, cooldown_s=1200)))

    assert [0, 20, 40] == fired_at(world, [*minutes(0, 45, latency=2500.0)])


def test_a_rule_fires_no_more_than_its_maximum_of_a_day() -> None:
    world = World(policy(alert(SLOW, cooldown_s=900, max_per_day=2)))
    day = [row for n in range(0, 2 * 1440, 15) for row in minute(n, latency=2500.0)]

    assert [0, 15, 1440, 1455] == [n for n in fired_at(world, [*day]) if n % 1440 < 60]


def test_an_alert_without_a_cooldown_is_not_said_every_minute() -> None:
    world = World(policy(alert(SLOW, cooldown_s=0)))

    assert [0, 15, 30] == fired_at(world, [*minutes(0, 40, latency=2500.0)])


def test_what_has_to_hold_for_a_while_holds_in_every_minute_of_it() -> None:
    held = replace(SLOW, held_s=300)
    world = World(policy(alert(held)))

    assert [4] == fired_at(world, [*minutes(0, 8, latency=2500.0)])


@pytest.mark.parametrize(
    "gap",
    [
        minute(3),
        minute(3, latency=None),
        [],
        [window(3, latency=2500.0, closed=False)],
    ],
)
def test_a_gap_begins_the_while_again(gap: list[object]) -> None:
    world = World(policy(alert(replace(SLOW, held_s=300))))
    rows = [*minutes(0, 3, latency=2500.0), *gap, *minutes(4, 8, latency=2500.0)]

    assert [8] == fired_at(world, rows)


def test_a_revision_changes_nothing_that_was_decided() -> None:
    world = World(policy(alert(SLOW)))
    world.feed(*minutes(0, 2))

    assert [] == world.feed(window(1, latency=9000.0, revision=2))
    assert world.last is not None
    assert {"revised": 1} == world.last.counts


def test_the_most_urgent_rule_comes_first_and_of_equals_the_first_by_name() -> None:
    rules = [
        alert(SLOW, id="a", priority="low"),
        alert(SLOW, id="z", priority="high"),
        alert(SLOW, id="y", priority="high"),
        alert(SLOW, id="m", priority="medium"),
    ]
    decided = World(policy(*rules)).feed(*minute(0, latency=2500.0))

    assert ["y:alert", "z:alert", "m:alert", "a:alert"] == actions(decided)


def test_a_critical_rule_skips_the_rest() -> None:
    rules = [alert(SLOW, id="a", priority="critical"), alert(SLOW, id="b", priority="critical")]

    assert ["a:alert"] == actions(World(policy(*rules)).feed(*minute(0, latency=2500.0)))


@pytest.mark.parametrize(
    "fields", [{"enabled": False}, {"scopes": ("shop",)}, {"scopes": ("search/other",)}]
)
def test_a_rule_that_is_disabled_or_of_another_scope_is_dropped(fields: dict[str, object]) -> None:
    assert [] == World(policy(alert(SLOW, **fields))).feed(*minute(0, latency=2500.0))


@pytest.mark.parametrize("scopes", [("*",), ("search",), ("shop", "search/answer")])
def test_a_scope_is_meant_by_itself_its_service_or_all(scopes: tuple[str, ...]) -> None:
    assert applies(scopes, SCOPE)


def test_a_baseline_is_the_median_of_the_hour_before_the_run() -> None:
    rising = Condition(
        metric=Metric.P95_LATENCY_MS, op=">", value=1.2, relative_to="baseline", held_s=3600
    )
    world = World(policy(alert(rising)))

    # the old level is long out of the hour when the run has lasted it
    assert [89] == fired_at(world, [*minutes(0, 30), *minutes(30, 65, latency=1300.0)])


def test_without_enough_past_there_is_no_baseline_and_no_verdict() -> None:
    rising = Condition(metric=Metric.REQUESTS, op=">", value=0.5, relative_to="baseline")
    nothing = World(policy(alert(Condition(none_of=(rising,)))))
    something = World(policy(alert(rising)))
    rows = minutes(0, 25)

    assert [] == fired_at(nothing, [*rows])
    assert [20] == fired_at(something, [*rows])


def test_an_anomaly_is_news_for_five_minutes() -> None:
    world = World(policy(alert(Condition(anomaly="quality"), cooldown_s=60)))
    world.feed(*minutes(0, 2), anomaly(1))

    # told of minute 1 after it was evaluated; alerts repeat after the quiet time only
    assert [2] == fired_at(world, [*minutes(2, 12)])
    assert [] == fired_at(world, [*minutes(30, 2)])


@pytest.mark.parametrize(
    ("severity", "expected"), [(Severity.MEDIUM, []), (Severity.HIGH, ["alert:alert"])]
)
def test_an_anomaly_counts_from_its_severity_on(severity: Severity, expected: list[str]) -> None:
    world = World(policy(alert(Condition(anomaly="quality", severity="high"))))

    assert expected == actions(world.feed(anomaly(0, severity), *minute(1)))


def test_a_withdrawn_anomaly_is_none() -> None:
    world = World(policy(alert(Condition(anomaly="quality"))))

    assert [] == world.feed(anomaly(0), anomaly(0, real=False), *minute(1))


def test_an_older_anomaly_does_not_replace_a_newer_one() -> None:
    world = World(policy(alert(Condition(anomaly="quality"))))

    assert ["alert:alert"] == actions(world.feed(anomaly(9), anomaly(0), *minute(12)))


def test_a_decision_names_the_anomalies_that_it_saw() -> None:
    world = World(policy(alert(Condition(any_of=(Condition(anomaly="quality"), SLOW)))))
    (decision,) = world.feed(anomaly(0), *minute(1))

    assert (f"{SCOPE}|*|*|*|*|1m|{NOON + 60_000}", f"{SCOPE}|quality|0") == decision.inputs


TRUE, FALSE, NONE = (
    Condition(metric=metric, op=">", value=value)
    for metric, value in ((Metric.REQUESTS, 1.0), (Metric.REQUESTS, 1e9), (Metric.QUALITY, 0.0))
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (TRUE, True),
        (FALSE, False),
        (NONE, None),
        (Condition(all_of=(TRUE, TRUE)), True),
        (Condition(all_of=(TRUE, NONE)), None),
        (Condition(all_of=(NONE, FALSE)), False),
        (Condition(any_of=(FALSE, NONE)), None),
        (Condition(any_of=(NONE, TRUE)), True),
        (Condition(any_of=(FALSE, FALSE)), False),
        (Condition(none_of=(FALSE,)), True),
        (Condition(none_of=(FALSE, NONE)), None),
        (Condition(none_of=(NONE, TRUE)), False),
    ],
)
def test_what_cannot_be_told_is_neither_true_nor_false(
    condition: Condition, *, expected: bool | None
) -> None:
    p = policy(alert(Condition(all_of=(TRUE, FALSE, NONE))))
    world = World(p)
    world.feed(*minute(0, quality=None))

    assert expected is holds(p, world.state.scopes[SCOPE], condition)


def test_before_the_first_minute_nothing_can_be_told() -> None:
    assert holds(policy(), ScopeState(scope=SCOPE), TRUE) is None


def test_comparisons_with_and_without_a_baseline_have_runs_of_their_own() -> None:
    assert name_of(SLOW) != name_of(replace(SLOW, relative_to="baseline"))
    assert name_of(SLOW) == name_of(replace(SLOW, held_s=300))


def test_a_rollback_rule_without_a_rollout_tells_a_person() -> None:
    rule = alert(SLOW, id="spike")
    world = World(policy(replace(rule, then="rollback")))
    (decision,) = world.feed(*minute(0, latency=2500.0))

    assert Action.ALERT is decision.action
    assert "There is no rollout to take back: a person should look." in decision.reasons


def test_rules_of_one_minute_leave_one_change() -> None:
    again = replace(CHEAPER, id="cheaper_still")
    world = World(policy(CHEAPER, again))

    assert ["cheaper:deploy"] == [
        name for name in actions(world.feed(*minutes(0, 30))) if name.endswith("deploy")
    ]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (replace(SLOW, held_s=300), "p95_latency_ms > 2000 for 5 min"),
        (replace(SLOW, relative_to="baseline"), "p95_latency_ms > 2000 × its baseline"),
        (Condition(anomaly="quality"), "an anomaly of quality (medium or worse)"),
        (Condition(all_of=(TRUE, FALSE)), "(requests > 1 and requests > 1e+09)"),
        (Condition(any_of=(TRUE, NONE)), "(requests > 1 or quality > 0)"),
        (Condition(none_of=(TRUE, NONE)), "none of (requests > 1, quality > 0)"),
    ],
)
def test_a_condition_can_be_said(condition: Condition, expected: str) -> None:
    assert expected == words(condition)
