from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.decide import ENTRY, explain, fresh, restore
from schemas.catalog import Condition, Metric, Model, Rule
from schemas.command import CommandKind
from schemas.decision import Action, Decision
from schemas.flow import Emit
from schemas.rollout import Phase
from schemas.topics import DECISIONS
from tests.processors.decide.world import (
    BIG,
    CHEAPER,
    FAR,
    LIMITS,
    MOMENT,
    NOON,
    OTHER,
    SCOPE,
    SMALL,
    World,
    actions,
    anomaly,
    command,
    deployment,
    minute,
    minutes,
    policy,
    window,
)

SPIKE = Rule(
    id="spike",
    name="spike",
    priority="critical",
    when=Condition(metric=Metric.ERROR_RATE, op=">", value=0.15),
    then="rollback",
    cooldown_s=0,
    max_per_day=100,
)


def deploys(decisions: list[Decision]) -> list[int]:
    """The minutes of the event time in which something was rolled out."""
    return [(d.at - NOON) // 60_000 for d in decisions if d.action is Action.DEPLOY]


def test_nothing_is_changed_before_there_is_evidence_of_what_serves() -> None:
    decisions = World(policy()).feed(*minutes(0, 10))

    assert ["cheaper:none", "cheaper:deploy"] == actions(decisions)
    assert ["min_minutes"] == [violation.constraint for violation in decisions[0].violations]
    assert [10] == deploys(decisions)


def test_a_finding_without_an_effect_is_recorded_once_per_cooldown() -> None:
    world = World(policy(replace(CHEAPER, cooldown_s=1800), prices={BIG: 10.0}))
    decisions = world.feed(*minutes(0, 70))

    # another obstacle is another finding: first too little evidence, then too dear models
    assert [0, 9, 39, 69] == [(d.at - NOON) // 60_000 - 1 for d in decisions]
    assert {Action.NONE} == {d.action for d in decisions}


def test_there_is_no_change_while_a_rollout_is_active() -> None:
    world = World(policy())
    (first,) = deploys(world.feed(*minutes(0, 15)))
    world.feed(deployment(15, Phase.RAMPING))

    assert 10 == first
    assert [] == world.feed(*minutes(15, 200))
    world.feed(deployment(215, Phase.ROLLED_BACK, sequence=2))
    assert [245] == deploys(world.feed(*minutes(215, 60)))


def test_a_decision_that_nobody_answers_is_made_again_in_the_end() -> None:
    world = World(
        policy(
            replace(CHEAPER, cooldown_s=0), limits=replace(LIMITS, min_minutes_between_changes=0)
        )
    )

    assert [10, 25, 40] == deploys(world.feed(*minutes(0, 45)))


def test_a_refused_decision_is_no_change() -> None:
    world = World(policy(replace(CHEAPER, cooldown_s=60)))
    (decision,) = [d for d in world.feed(*minutes(0, 10)) if d.action is Action.DEPLOY]
    world.feed(deployment(10, Phase.REJECTED, decision=decision.id))

    assert (None, ()) == (world.state.scopes[SCOPE].asked, world.state.scopes[SCOPE].changes)
    assert [11] == deploys(world.feed(*minute(10)))


def test_changes_keep_their_distance() -> None:
    world = World(policy(replace(CHEAPER, cooldown_s=0)))
    world.feed(deployment(0, Phase.ROLLED_BACK, FAR))

    assert [30] == deploys(world.feed(*minutes(0, 31)))


def test_no_more_changes_than_allowed_are_made_in_a_day() -> None:
    limits = replace(LIMITS, max_changes_per_day=2, min_minutes_between_changes=0.0)
    world = World(policy(replace(CHEAPER, cooldown_s=0), limits=limits))
    decisions = world.feed(*minutes(0, 300))

    assert [10, 25] == deploys(decisions)
    assert "max_changes_per_day" in {v.constraint for d in decisions for v in d.violations}
    assert [1450] == deploys(world.feed(*minutes(1425, 26)))


def test_a_change_by_hand_counts_as_one() -> None:
    limits = replace(LIMITS, max_changes_per_day=1, min_minutes_between_changes=0.0)
    world = World(policy(limits=limits))
    world.feed(deployment(0, Phase.PROMOTED, BIG, stable=BIG, id_="by hand"))

    assert [] == deploys(world.feed(*minutes(0, 60)))


def test_a_rollback_rule_takes_back_an_active_rollout_at_once_and_once() -> None:
    world = World(policy(SPIKE))
    world.feed(*minutes(0, 12), deployment(12, Phase.RAMPING))
    decisions = world.feed(*minutes(12, 5, errors=40))

    assert ["spike:rollback"] == actions(decisions)
    assert NOON + 13 * 60_000 == decisions[0].at


def test_a_rollout_that_was_promoted_a_moment_ago_can_be_taken_back() -> None:
    world = World(policy(SPIKE))
    world.feed(deployment(12, Phase.PROMOTED))

    assert ["spike:rollback"] == actions(world.feed(*minutes(12, 2, errors=40)))
    world.feed(deployment(14, Phase.ROLLED_BACK, sequence=2))
    assert [] == world.feed(*minutes(14, 2, errors=40))


def test_what_was_taken_back_by_hand_without_a_name_blames_nobody() -> None:
    world = World(policy())
    world.feed(
        deployment(0, Phase.ROLLED_BACK, None, blamed=True),
        deployment(1, Phase.ROLLED_BACK, BIG, blamed=True),
    )

    assert () == world.state.scopes[SCOPE].rolled_back


def test_a_promotion_of_long_ago_cannot() -> None:
    world = World(policy(SPIKE))
    world.feed(deployment(12, Phase.PROMOTED))

    assert ["spike:alert"] == actions(world.feed(*minutes(80, 1, errors=40)))


def test_a_rollback_that_is_refused_is_not_asked_for_for_ever() -> None:
    world = World(policy(SPIKE))
    world.feed(deployment(0, Phase.PROMOTED))
    (decision,) = world.feed(*minutes(0, 1, errors=40))
    world.feed(deployment(1, Phase.REJECTED, decision=decision.id, id_="r9"))

    assert ["spike:alert"] == actions(world.feed(*minutes(1, 30, errors=40)))[:1]


def test_a_promotion_begins_the_evidence_again() -> None:
    world = World(policy())
    world.feed(*minutes(0, 30), deployment(30, Phase.PROMOTED, SMALL))

    assert () == world.state.scopes[SCOPE].minutes


def test_learning_which_model_is_stable_forgets_nothing() -> None:
    world = World(policy())
    world.feed(*minutes(0, 30), deployment(30, Phase.PENDING))

    assert 30 == len(world.state.scopes[SCOPE].minutes)


@pytest.mark.parametrize("kind", [CommandKind.PAUSE, CommandKind.STOP])
@pytest.mark.parametrize("scope", [SCOPE, "*"])
def test_nothing_is_decided_while_held(kind: CommandKind, scope: str) -> None:
    world = World(policy())

    assert [] == world.feed(command(kind, scope), *minutes(0, 40))
    assert world.last is not None
    assert 40 == world.last.counts["held"]


@pytest.mark.parametrize("kind", [CommandKind.PAUSE, CommandKind.STOP])
@pytest.mark.parametrize(
    ("held", "released", "goes_on"),
    [(SCOPE, SCOPE, True), ("*", "*", True), (SCOPE, "*", True), ("*", SCOPE, False)],
)
def test_what_is_released_goes_on(
    kind: CommandKind, held: str, released: str, *, goes_on: bool
) -> None:
    world = World(policy())
    world.feed(command(kind, held), *minutes(0, 40), command(CommandKind.RESUME, released))

    assert goes_on == bool(world.feed(*minutes(40, 1)))


def test_a_pause_does_not_weaken_a_stop() -> None:
    world = World(policy())
    world.feed(command(CommandKind.STOP), command(CommandKind.PAUSE))

    assert "stopped" == world.state.scopes[SCOPE].hold


def test_commands_for_the_scopes_of_others_are_not_ours() -> None:
    world = World(policy())
    world.feed(command(CommandKind.STOP), command(CommandKind.TRIGGER), moment=OTHER)

    assert {} == dict(world.state.scopes)
    world.feed(command(CommandKind.SET), moment=MOMENT)
    assert "" == world.state.scopes[SCOPE].hold


def test_a_trigger_is_always_answered() -> None:
    world = World(policy(replace(CHEAPER, cooldown_s=86_400)))
    (unknown,) = World(policy()).feed(command(CommandKind.TRIGGER))
    decisions = world.feed(*minutes(0, 12), deployment(12, Phase.RAMPING))
    busy = world.feed(command(CommandKind.TRIGGER, id_="c2"))

    assert Action.NONE is unknown.action
    assert ["cheaper:none", "cheaper:deploy"] == actions(decisions)
    assert ["cheaper:none", "trigger:none"] == actions(busy)
    assert "Rollout r1 is active here." in busy[0].reasons


def test_a_trigger_passes_over_cooldowns() -> None:
    limits = replace(LIMITS, min_minutes_between_changes=0.0)
    world = World(policy(replace(CHEAPER, cooldown_s=86_400), limits=limits))
    world.feed(*minutes(0, 12), deployment(12, Phase.ROLLED_BACK))
    decisions = world.feed(*minutes(12, 20), command(CommandKind.TRIGGER, "*"))

    assert ["cheaper:deploy"] == actions(decisions)


def test_a_trigger_without_a_rule_looks_for_a_cheaper_model() -> None:
    never = replace(CHEAPER, when=replace(CHEAPER.when, value=1e9))
    world = World(policy(never))
    (decision,) = world.feed(*minutes(0, 12), command(CommandKind.TRIGGER))

    assert ("trigger", Action.DEPLOY) == (decision.rule, decision.action)
    assert "An evaluation was asked for by ada." == decision.reasons[0]


def test_a_trigger_is_held_too() -> None:
    world = World(policy())
    world.feed(*minutes(0, 12), command(CommandKind.STOP, "*"))

    assert [] == world.feed(command(CommandKind.TRIGGER))
    assert [] == world.feed(command(CommandKind.TRIGGER, "*"))


def test_a_rule_with_a_strategy_that_is_gone_says_so() -> None:
    world = World(policy(replace(CHEAPER, strategy="gone")))
    (decision,) = world.feed(*minutes(0, 12))

    assert any("Strategy 'gone' is not in the catalog" in reason for reason in decision.reasons)


def test_a_decision_is_named_by_scope_rule_and_minute() -> None:
    one, other = (World(policy()).feed(*minutes(0, 10)) for _ in range(2))

    assert [d.id for d in one] == [d.id for d in other]
    assert 2 == len({d.id for d in one})


def test_a_decision_goes_to_the_partition_of_its_scope() -> None:
    world = World(policy())
    (decision, *_) = world.feed(*minute(0))
    assert world.last is not None

    assert (Emit(DECISIONS.name, SCOPE, decision, partition=2),) == world.last.emits
    assert {"decided.none": 1, "evaluated": 1, "rule.matched": 1} == world.last.counts


def test_what_is_of_no_use_leaves_the_state_as_it_is() -> None:
    world = World(policy())
    before = world.state
    world.feed(
        None, window(0, size="1h"), window(0, closed=False), command(CommandKind.TRIGGER, "*")
    )

    assert before is world.state


EVENTS: list[Any] = [
    *minutes(0, 12),
    window(-60, name=FAR, size="1h", cohort="stable", requests=900, closed=False),
    anomaly(11),
    deployment(12, Phase.RAMPING),
    *minutes(12, 4, errors=30),
    deployment(16, Phase.ROLLED_BACK, sequence=2),
    command(CommandKind.PAUSE),
    *minutes(16, 3),
    command(CommandKind.RESUME, "*"),
    window(17, latency=9e9, revision=2),
    *minutes(19, 40),
    command(CommandKind.TRIGGER, id_="c9"),
    deployment(60, Phase.PROMOTED, FAR, id_="r2"),
    *minutes(60, 15, serving=FAR),
]


@settings(max_examples=10)
@given(st.lists(st.integers(0, len(EVENTS)), max_size=8))
def test_batches_split_anywhere_give_the_same_decisions_and_the_changelog_is_the_state(
    cuts: list[int],
) -> None:
    whole = World(policy(CHEAPER, SPIKE))
    expected = whole.feed(*EVENTS)
    parts = World(policy(CHEAPER, SPIKE))
    found: list[Decision] = []
    for low, high in pairwise(sorted({0, len(EVENTS), *cuts})):
        found += parts.feed(*EVENTS[low:high])
        stored = {
            key: msgspec.msgpack.decode(msgspec.msgpack.encode(entry), type=ENTRY)
            for key, entry in parts.entries.items()
        }
        assert parts.state == restore(stored)
        parts.state = restore(stored)

    assert expected == found
    assert whole.state == parts.state
    assert {Action.DEPLOY, Action.ROLLBACK} <= {d.action for d in found}


def test_the_state_of_a_scope_stays_small() -> None:
    world = World(policy(CHEAPER, SPIKE, replace(SPIKE, id="alert", then="alert")))
    world.feed(*minutes(0, 1500, errors=30))

    assert 16_384 > len(msgspec.msgpack.encode(world.entries[SCOPE]))


def test_a_fresh_state_is_empty() -> None:
    assert restore({}) == fresh()


def test_a_decision_explains_itself() -> None:
    decision = World(policy()).feed(*minutes(0, 10))[-1]
    lines = explain(decision).splitlines()

    assert (
        "The decision for search/answer is to roll out one/small by the strategy balanced."
        == lines[0]
    )
    assert "one/big serves it now." == lines[1]
    assert "Rule cheaper holds: cost_per_request_usd > 0.005." == lines[2]
    assert (
        "- one/small is possible, saving 80%: cost $0.002 a request (at worst $0.0022 a request), "
        "quality 85.0 points (at worst 80.0 points), p95 latency 1,000 ms (at worst 1,200 ms), "
        "error rate 0.20% (at worst 0.20%), availability 99.80% (at worst 99.80%)." in lines
    )
    assert "would be made again with probability 1." in lines[-1]


def test_a_decision_to_do_nothing_explains_what_holds_it_back() -> None:
    decision = World(policy(limits=replace(LIMITS, min_quality=99.0))).feed(*minutes(0, 10))

    assert "Held back by min_minutes: Only 1 minutes" in explain(decision[0])
    assert SMALL in explain(
        World(policy(limits=replace(LIMITS, min_quality=99.0))).feed(*minutes(0, 40))[-1]
    )


def test_a_decision_that_saw_nothing_explains_itself_too() -> None:
    (decision,) = World(policy()).feed(command(CommandKind.TRIGGER))

    assert "An evaluation was asked for by ada." == explain(decision).splitlines()[1]
    assert "It saw" in explain(decision)
    assert "It saw" not in explain(replace(decision, observed={}))


def test_a_candidate_of_which_nothing_is_known_is_told_as_such() -> None:
    blank = Model(provider="one", model="new")
    decision = World(policy(models={"one/new": blank})).feed(*minutes(0, 10))[-1]

    assert "- one/new is not possible, saving 0%." in explain(decision).splitlines()
