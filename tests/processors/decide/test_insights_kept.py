"""What is remembered of insights, said of them, and asked of them by the default catalog."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from processors.decide import ENTRY, DecidePolicy, fresh, restore
from processors.decide.condition import holds
from processors.decide.retain import KEPT, KEPT_MODELS
from processors.decide.state import ScopeState
from processors.decide.wording import words
from schemas.anomaly import Severity
from schemas.catalog import BETTER, Condition, Metric
from schemas.codec import pack, unpack
from schemas.declare import declare, gather
from schemas.insight import Insight
from schemas.rollout import Phase
from tests.processors.decide.asking import (
    CHANGE,
    COMPARISON,
    FORECAST,
    HOUR,
    PREDICTION,
    QUALITY,
    REQUESTS,
    TREND,
    ask,
)
from tests.processors.decide.world import (
    BIG,
    MINUTE,
    NOON,
    SCOPE,
    SMALL,
    World,
    anomaly,
    deployment,
    insight,
    minute,
    minutes,
    policy,
)


@pytest.mark.parametrize("kind", ["change_point", "prediction"])
def test_of_each_kind_only_the_newest_are_kept(kind: str) -> None:
    world = World(ask(CHANGE))
    names = {f"one/m{n}": replace(world.policy.catalog.models[BIG]) for n in range(100)}
    world.policy = replace(world.policy, catalog=replace(world.policy.catalog, models=names))
    world.feed(
        *(
            insight(kind, tells=(n,), subject=f"one/m{n}", n=-n, at=NOON - n * MINUTE)
            for n in range(100)
        )
    )
    most = KEPT if kind == "change_point" else KEPT_MODELS

    assert {f"{SCOPE}|{kind}|p95_latency_ms|1h|{n}" for n in range(most)} == set(
        world.state.scopes[SCOPE].findings
    )


def test_another_stable_model_makes_all_but_predictions_void() -> None:
    world = World(ask(Condition(any_of=(TREND, PREDICTION))))
    found = [insight("trend"), insight("prediction", subject=SMALL)]
    world.feed(*minutes(0, 2), deployment(2, Phase.RAMPING), *found)
    world.feed(deployment(3, Phase.PROMOTED, sequence=2))

    assert [found[1].id] == list(world.state.scopes[SCOPE].findings)


def test_what_was_measured_says_nothing_of_what_serves_once_the_config_is_removed() -> None:
    world = World(ask(Condition(any_of=(TREND, PREDICTION))))
    world.feed(*minutes(0, 2), deployment(2, Phase.PROMOTED))
    world.feed(*minutes(2, 2), deployment(4, Phase.ROLLED_BACK, id_="m1", stable=None))
    state = world.state.scopes[SCOPE]

    assert (None, (), None) == (state.stable_model, state.minutes, state.active)


def test_a_decision_names_the_insights_that_made_it_and_says_what_they_say() -> None:
    when = Condition(
        all_of=(
            Condition(any_of=(TREND, replace(TREND, direction="improving"))),
            Condition(none_of=(replace(COMPARISON, by=0.5), Condition(anomaly="error_rate"))),
            Condition(any_of=(Condition(anomaly="quality"), CHANGE)),
        )
    )
    world = World(ask(when))
    found = [
        insight("trend"),
        insight("comparison", subject="rolling 3"),
        insight("forecast"),
        insight("change_point", low=None, high=None, direction="inconclusive"),
    ]
    (decision,) = world.feed(*found, anomaly(28, Severity.HIGH), *minute(30))

    assert (found[1].id, f"{SCOPE}|quality|28", found[0].id) == decision.inputs[1:]
    assert decision.reasons[1].startswith(
        "By the comparison of p95_latency_ms (rolling 3) in windows of 1h, 31 min old, it is "
        "degrading: 100, 50 to 150, against 1000, with"
    )
    assert decision.reasons[2].startswith(
        "By the trend of p95_latency_ms in windows of 1h, 31 min old, it is degrading: "
        "100 an hour, 50 to 150, with"
    )


def test_what_a_change_without_a_range_says_is_said() -> None:
    world = World(ask(CHANGE))
    (decision,) = world.feed(
        insight("change_point", low=None, high=None, reference=None), *minute(0)
    )

    assert decision.reasons[1] == (
        "By the change point of p95_latency_ms in windows of 1h, 1 min old, it is degrading: 100, "
        "with confidence 0.95."
    )


def test_what_was_remembered_goes_on_after_a_restart() -> None:
    for records in ([insight("trend")], [insight("trend"), *minute(0)], [insight("forecast")]):
        world = World(ask(TREND))
        world.feed(*records)
        read = {key: unpack(ENTRY, pack(entry)) for key, entry in world.entries.items()}

        assert world.state == restore(read)
        assert world.state == restore(dict(reversed(read.items())))


def test_a_minute_does_not_write_insights_again_nor_an_insight_the_minutes() -> None:
    world = World(ask(TREND))
    written = []
    for records in (minute(0), [insight("trend")], minute(1), [insight("trend", holds=False)]):
        world.feed(*records)
        assert world.last is not None
        written.append(list(world.last.changes))

    assert [[SCOPE], [f"{SCOPE}|insights"], [SCOPE], []] == written


def test_a_state_without_insights_is_still_read() -> None:
    plain = msgspec.to_builtins(ScopeState(scope=SCOPE))
    del plain["findings"]

    assert ScopeState(scope=SCOPE) == unpack(ENTRY, msgspec.msgpack.encode(plain))


REVISIONS = st.lists(
    st.tuples(st.integers(1, 4), st.booleans(), st.sampled_from(["degrading", "improving"])),
    max_size=8,
)


@given(REVISIONS, st.integers(0, 8))
def test_the_highest_revision_stands_however_records_come_in_batches(
    revisions: list[tuple[int, bool, str]], cut: int
) -> None:
    records = [
        insight("trend", revision=n, holds=held, direction=said) for n, held, said in revisions
    ]
    whole, split = World(ask(TREND)), World(ask(TREND))
    whole.feed(*records)
    split.feed(*records[:cut])
    split.feed(*records[cut:])
    first: dict[int, tuple[bool, str]] = {}
    for n, held, said in revisions:
        first.setdefault(n, (held, said))
    held, said = first[max(first)] if first else (False, "")

    assert whole.state == split.state
    assert (said == "degrading" if held else None) is (
        holds(whole.policy, whole.state.scopes[SCOPE], TREND) if records else None
    )


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (
            replace(TREND, confidence=0.9),
            "a degrading trend of p95_latency_ms, by 1h with confidence 0.9",
        ),
        (
            Condition(trend=QUALITY, op="<", value=-0.5, window="24h"),
            "a trend of quality < -0.5 an hour, by 24h",
        ),
        (CHANGE, "a change of p95_latency_ms of late, by 1h"),
        (
            replace(CHANGE, direction="degrading", by=0.05, held_s=7200, window="1m"),
            "a degrading change of p95_latency_ms by 5% or more within 2 h, by 1m",
        ),
        (COMPARISON, "p95_latency_ms degrading against its rolling baseline, by 1h"),
        (
            replace(FORECAST, bound="pessimistic"),
            "p95_latency_ms > 120 at worst within the next 3 h, forecast by 1h",
        ),
        (PREDICTION, "p95_latency_ms < 800, predicted for one/small"),
    ],
)
def test_what_a_rule_asks_of_analysis_can_be_said(condition: Condition, expected: str) -> None:
    assert expected == words(condition)


def test_which_way_is_good_is_known_of_all_metrics_but_the_traffic() -> None:
    assert set(Metric) - {REQUESTS} == set(BETTER)
    assert {QUALITY} == {metric for metric, way in BETTER.items() if way > 0}


@pytest.mark.parametrize(
    "fields",
    [{"fresh_ms": {"1h": 0}}, {"change_s": 0}, {"significance": 0.0}, {"significance": 1.0}],
)
def test_a_policy_under_which_no_insight_ever_tells_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ever tells|between 0 and 1"):
        policy(**fields)


def test_before_the_first_minute_an_insight_is_as_new_as_can_be() -> None:
    world = World(ask(TREND))
    world.feed(insight("trend"))

    assert {} == fresh().scopes
    assert holds(world.policy, world.state.scopes[SCOPE], TREND) is True


DEFAULT = Path(__file__).parents[3] / "infra" / "catalog" / "default.yaml"


def default(rule: str) -> DecidePolicy:
    """The catalog to start with, and one of its rules alone."""
    known = gather(declare(yaml.safe_load(DEFAULT.read_text("utf-8"))), 0)
    return DecidePolicy(catalog=replace(known, rules={rule: known.rules[rule]}), prices="")


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        (
            "latency_forecast",
            [
                insight("trend"),
                insight("forecast", at=NOON + 6 * HOUR * MINUTE, value=3500.0),
            ],
        ),
        ("quality_erosion", [insight("change_point", "quality", relative=-0.04)]),
        ("quality_erosion", [insight("trend", "quality", window="24h")]),
        (
            "quality_erosion",
            [insight("comparison", "quality", relative=-0.06, subject="rolling 9")],
        ),
    ],
)
def test_the_rules_of_the_default_catalog_that_ask_analysis_fire(
    rule: str, found: list[Insight]
) -> None:
    decisions = World(default(rule)).feed(*found, *minutes(0, 5))

    assert [(rule, "alert")] == [(each.rule, each.action) for each in decisions]
    assert {each.id for each in found} <= set(decisions[0].inputs)
    assert [] == World(default(rule)).feed(*found[1:], *minutes(0, 5))


def test_the_examples_in_the_default_catalog_can_be_declared() -> None:
    lines = DEFAULT.read_text("utf-8").splitlines()
    first = next(n for n, line in enumerate(lines) if line.startswith("# When something holds"))
    written = [
        line.removeprefix("#").split("  #")[0]
        for line in lines[first : lines.index("rules:")]
        if line.startswith("#   {")
    ]
    whens = [yaml.safe_load(line) for line in written]
    document = {
        "models": {"openai/gpt-4o": {}},
        "rules": {f"r{n}": {"when": when} for n, when in enumerate(whens)},
    }

    assert 9 == len(declare(document)) - 1
