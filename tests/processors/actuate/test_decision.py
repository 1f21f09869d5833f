from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from processors.actuate.policy import ActuatePolicy
from schemas.catalog import Constraints, Model, PriceEntry
from schemas.config import Split
from schemas.decision import Action
from schemas.rollout import Phase, Verdict

MINUTE = 60_000


def test_a_decision_starts_a_rollout_on_the_first_rung(world: ModuleType) -> None:
    play = world.Play()
    play.start()

    assert [Phase.PENDING, Phase.RAMPING] == [e.phase for e in play.events]
    assert (1, 3, world.NEW) == (play.config.revision, play.config.epoch, play.config.candidate)
    assert Split(rollout_id=play.last.id, salt=play.last.id, share=500) == play.config.split
    assert (1, 3, 500) == (play.last.step, play.last.steps, play.last.share)


def test_the_first_rollout_adopts_the_model_that_serves_most(world: ModuleType) -> None:
    play = world.Play()
    play.feed(
        world.row(world.T0, 30, config=world.OTHER),
        world.row(world.T0, 40),
        world.row(world.T0, 35, cohort="stable"),
        world.row(world.T0, 90, config=world.NEW, cohort="candidate"),
        world.row(world.T0, 195, config=None),
    )
    play.start()

    assert world.OLD == play.config.stable


def test_a_model_that_serves_no_more_is_forgotten(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.row(world.T0, 3, config=world.OTHER), world.row(world.T0, 3, config=None))
    for minute in range(1, 60):
        start = world.T0 + minute * MINUTE
        play.feed(world.row(start, 1), world.row(start, 1, config=None))

    assert ["large"] == [s.model for s in play.entry.serving]


def test_a_scope_that_nobody_observed_takes_the_decisions_own_view(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.deploy(current=world.OLD))

    assert (Phase.PENDING, world.OLD.version) == (play.last.phase, play.last.stable_version)


def test_a_rollout_without_a_past_waits_for_one_without_traffic(world: ModuleType) -> None:
    play = world.Play()
    play.minutes(1)
    play.feed(world.deploy(at=play.clock))
    play.minutes(3)

    assert [Phase.PENDING] == [e.phase for e in play.events]
    assert [] == play.configs

    play.feed(world.row(world.T0, 5000, config=None, window="15m", closed=False))
    play.minutes(1)

    assert Phase.RAMPING is play.last.phase


def test_a_rollout_that_finds_no_past_gives_up(world: ModuleType) -> None:
    play = world.Play()
    play.minutes(1)
    play.feed(world.deploy(at=play.clock))
    play.minutes(60)

    assert Phase.ROLLED_BACK is play.last.phase
    assert play.last.reason == "No traffic to measure by within 3600 s: nothing was started."
    assert [] == play.configs


def test_a_scope_with_little_traffic_is_measured_by_its_last_whole_hour(world: ModuleType) -> None:
    play = world.Play()
    play.minutes(1)
    play.feed(world.row(world.T0, 100, config=None, window="15m"))
    play.feed(world.row(world.T0, 100, config=None, window="1h", closed=False))
    play.feed(world.row(world.T0, 100, config=None, window="24h"))

    assert play.entry.past is None

    play.feed(world.row(world.T0, 100, config=None, window="1h"))

    assert play.entry.past is not None


def test_a_ladder_of_one_hundred_percent_promotes_at_once(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="at once")

    assert [Phase.PENDING, Phase.PROMOTED] == [e.phase for e in play.events]
    assert (1, world.NEW, None) == (
        play.config.revision,
        play.config.stable,
        play.config.candidate,
    )
    assert [world.OLD, world.NEW] == [v.config for v in play.entry.history]


def test_a_second_decision_is_refused_while_a_rollout_is_active(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.deploy("d2", world.OTHER, at=play.clock))

    assert Phase.REJECTED is play.last.phase
    assert "is active here" in play.last.reason
    assert 1 == play.config.revision


def test_the_same_decision_again_changes_nothing(world: ModuleType) -> None:
    play = world.Play()
    play.start()

    assert [] == play.feed(world.deploy(at=play.clock))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"chosen": None}, "names no config"),
        ({"strategy": "brave"}, "Strategy 'brave' is not in the catalog"),
    ],
)
def test_a_decision_that_cannot_be_done_is_refused(
    world: ModuleType, changes: dict[str, object], sentence: str
) -> None:
    play = world.Play()
    play.start(**changes)

    assert Phase.REJECTED is play.last.phase
    assert sentence in play.last.reason
    assert [] == play.configs


def test_a_decision_for_a_scope_that_nobody_knows_is_refused(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.deploy())

    assert "Nobody knows what serves this scope" in play.last.reason


def test_the_stable_config_is_not_rolled_out_again(world: ModuleType) -> None:
    play = world.Play()
    play.start(chosen=world.OLD)

    assert f"{world.OLD.version} is the stable config already." == play.last.reason


def test_a_version_that_does_not_name_its_content_is_refused(world: ModuleType) -> None:
    play = world.Play()
    play.start(chosen=replace(world.NEW, temperature=0.3))

    assert "does not name this content: send it as 'v-" in play.last.reason


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (None, "is not in the catalog"),
        (Model(provider="openai", model="small", enabled=False), "is disabled"),
        (Model(provider="openai", model="small", scopes=("mail",)), "may not be used in"),
    ],
)
def test_a_model_that_the_catalog_does_not_allow_is_refused(
    world: ModuleType, model: Model | None, sentence: str
) -> None:
    models = {k: v for k, v in world.CATALOG.models.items() if k != "openai/small"}
    models |= {} if model is None else {"openai/small": model}
    play = world.Play(ActuatePolicy(catalog=replace(world.CATALOG, models=models)))
    play.start()

    assert Phase.REJECTED is play.last.phase
    assert sentence in play.last.reason


def test_a_model_may_be_allowed_by_service(world: ModuleType) -> None:
    model = Model(provider="openai", model="small", scopes=("search",))
    models = {**world.CATALOG.models, "openai/small": model}
    play = world.Play(ActuatePolicy(catalog=replace(world.CATALOG, models=models)))
    play.start()

    assert Phase.RAMPING is play.last.phase


def limited(world: ModuleType, **limits: float) -> ActuatePolicy:
    constraints = {"*": Constraints(**limits)}  # type: ignore[arg-type]
    return ActuatePolicy(catalog=replace(world.CATALOG, constraints=constraints))


def test_a_change_too_soon_after_the_last_is_refused(world: ModuleType) -> None:
    play = world.Play(limited(world, min_minutes_between_changes=30))
    play.start()
    play.minutes(1, error_rate=0.5)
    ended = play.clock
    play.feed(world.deploy("d2", world.OTHER, at=ended + 29 * MINUTE))

    assert "The last change was 29 min ago" in play.last.reason

    play.feed(world.deploy("d3", world.OTHER, at=ended + 30 * MINUTE))

    assert Phase.RAMPING is play.last.phase


def test_a_change_too_many_in_a_day_is_refused(world: ModuleType) -> None:
    play = world.Play(limited(world, max_changes_per_day=1, min_minutes_between_changes=0))
    play.start()
    begun = play.clock
    play.minutes(1, error_rate=0.5)
    play.feed(world.deploy("d2", world.OTHER, at=play.clock))

    assert "1 changes in 24 h" in play.last.reason

    play.feed(world.deploy("d3", world.OTHER, at=begun + 24 * 60 * MINUTE))

    assert Phase.RAMPING is play.last.phase


@pytest.mark.parametrize(("limit", "partitions"), [(1, 1), (2, 2), (2, 4)])
def test_a_rollout_above_the_partitions_part_of_the_limit_is_refused(
    world: ModuleType, limit: int, partitions: int
) -> None:
    policy = ActuatePolicy(catalog=world.CATALOG, max_rollouts=limit)
    play = world.Play(policy, moment=replace(world.MOMENT, partitions=partitions))
    play.start()
    play.feed(world.deploy("d2", scope="mail/draft", current=world.OLD))

    assert ("mail/draft", Phase.REJECTED) == (play.last.scope, play.last.phase)
    assert "max_rollouts" in play.last.reason


def test_a_version_that_was_taken_back_is_not_tried_again(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(1, error_rate=0.5)
    play.feed(world.deploy("d2", at=play.clock))

    assert Phase.REJECTED is play.last.phase
    assert "was taken back here" in play.last.reason


def test_a_version_that_was_taken_back_is_tried_again_at_another_price(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(1, error_rate=0.5)
    price = PriceEntry(provider="openai", model="small", input_per_mtok=0.1, output_per_mtok=0.2)
    prices = {"openai/small": (price,)}
    play.policy = ActuatePolicy(catalog=replace(world.CATALOG, prices=prices))
    play.feed(world.deploy("d2", at=play.clock))

    assert Phase.RAMPING is play.last.phase


def test_a_version_that_was_taken_back_is_tried_again_beside_another_stable_one(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.start()
    play.minutes(1, error_rate=0.5)
    play.feed(world.deploy("d2", world.OTHER, at=play.clock, strategy="at once"))
    play.feed(world.deploy("d3", at=play.clock))

    assert (Phase.RAMPING, world.OTHER) == (play.last.phase, play.config.stable)


def test_a_rollback_decision_ends_the_rollout(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.deploy("d2", None, at=play.clock, action=Action.ROLLBACK, strategy=""))

    assert (Phase.ROLLED_BACK, "optimizer") == (play.last.phase, play.last.by)
    assert (2, world.OLD, None) == (
        play.config.revision,
        play.config.stable,
        play.config.split,
    )


def test_a_rollback_decision_undoes_a_promotion_of_a_moment_ago(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="at once")
    undo = world.deploy("d2", None, at=play.clock, action=Action.ROLLBACK, strategy="")
    play.feed(undo)

    assert (Phase.ROLLED_BACK, world.OLD) == (play.last.phase, play.config.stable)
    assert (world.OLD.version, world.NEW.version) == (
        play.last.stable_version,
        play.last.candidate_version,
    )

    play.feed(world.deploy("d3", at=play.clock))

    assert "was taken back here" in play.last.reason


def test_a_rollback_decision_long_after_a_promotion_finds_nothing(world: ModuleType) -> None:
    play = world.Play()
    play.start(strategy="at once")
    late = play.clock + 61 * MINUTE
    play.feed(world.deploy("d2", None, at=late, action=Action.ROLLBACK, strategy=""))

    assert Phase.REJECTED is play.last.phase
    assert play.last.reason.startswith("Nothing to take back")


@pytest.mark.parametrize("action", [Action.ALERT, Action.NONE])
def test_other_decisions_are_told_as_cycles_without_effect(
    world: ModuleType, action: Action
) -> None:
    play = world.Play()
    play.past()
    play.feed(world.deploy(action=action, current=world.OLD))

    assert ([], []) == (play.configs, play.events)
    assert ["collecting", "analyzing", "deciding", "idle"] == [m.target for m in play.transitions]


def test_a_candidate_that_served_nobody_is_not_to_blame_for_a_rule(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.deploy(at=play.clock, strategy="asks"))
    play.minutes(1)
    play.feed(world.deploy("back", None, at=play.clock, action=Action.ROLLBACK))

    assert (Phase.PENDING, Phase.ROLLED_BACK) == (play.last.previous, play.last.phase)
    assert (Verdict.INCONCLUSIVE, False) == (play.last.verdict, play.last.blamed)
    assert ((), (), 0) == (
        play.entry.failed,
        play.entry.setbacks,
        play.state.scopes["*"].failures,
    )


@pytest.mark.parametrize(("word", "blamed"), [("stop", False), ("abort", True)])
def test_the_event_says_whether_the_candidate_is_to_blame(
    world: ModuleType, word: str, *, blamed: bool
) -> None:
    play = world.Play()
    play.start()
    play.minutes(2)
    play.feed(world.command(word))

    assert (Phase.ROLLED_BACK, blamed) == (play.last.phase, play.last.blamed)
    assert blamed is bool(play.entry.failed)
