from __future__ import annotations

from dataclasses import replace
from types import ModuleType

import pytest

from processors.actuate.version import versioned
from schemas.command import CommandKind
from schemas.config import LlmConfig
from schemas.flow import Moment
from schemas.rollout import Phase

MAIL = "mail/draft"


def test_a_paused_rollout_keeps_its_share_until_it_is_resumed(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("pause", reason="Release day."))
    play.minutes(8)

    assert (Phase.PAUSED, "alice", 500, 1) == (
        play.last.phase,
        play.last.by,
        play.last.share,
        play.config.revision,
    )
    assert play.last.reason == "Paused by alice: Release day."

    play.feed(world.command("resume"))
    play.minutes(1)

    assert [Phase.PAUSED, Phase.RAMPING, Phase.RAMPING] == [e.phase for e in play.events[-3:]]
    assert 5_000 == play.last.share


def test_nothing_starts_in_a_paused_scope(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command("pause"))
    play.feed(world.deploy(at=play.clock))

    assert play.last.reason == "Nothing starts while paused by alice: resume first."


def test_a_pending_rollout_gets_no_traffic_while_paused(world: ModuleType) -> None:
    play = world.Play()
    play.minutes(1)
    play.feed(world.deploy(at=play.clock), world.command("pause", "*"))
    play.past()

    assert [] == play.configs

    play.feed(world.command("resume", "*"))
    play.minutes(1)

    assert Phase.RAMPING is play.last.phase


def test_a_pause_for_all_outlasts_the_resume_of_one(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("pause", "*"), world.command("resume"))

    assert Phase.PAUSED is play.entry.rollout.phase
    assert (Phase.REJECTED, "Still paused for all scopes by alice: resume `*`.") == (
        play.last.phase,
        play.last.reason,
    )


def test_resume_for_all_lifts_the_holds_of_single_scopes(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("pause"), world.command("resume", "*"))

    assert Phase.RAMPING is play.entry.rollout.phase
    assert play.entry.hold is None


def test_stop_takes_every_rollout_back_and_starts_none_until_resumed(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.deploy("d2", scope=MAIL, current=world.OLD, at=play.clock))
    play.feed(world.command("stop", "*", reason="Incident 12"))

    assert [(MAIL, Phase.ROLLED_BACK), (world.SCOPE, Phase.ROLLED_BACK)] == [
        (e.scope, e.phase) for e in play.events[-2:]
    ]
    assert play.last.reason.startswith("Stopped by alice: Incident 12.")
    assert (world.OLD, None) == (play.config.stable, play.config.split)

    play.feed(world.deploy("d3", at=play.clock))

    assert play.last.reason == "Nothing starts while stopped by alice: resume first."

    play.feed(world.command("resume", "*"), world.deploy("d4", at=play.clock))

    assert Phase.RAMPING is play.last.phase


def test_a_scope_that_comes_after_the_stop_is_stopped_too(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.command("stop", "*"))
    play.start()

    assert "while stopped" in play.last.reason


def test_pause_does_not_weaken_stop(world: ModuleType) -> None:
    play = world.Play()
    play.feed(world.command("stop", "*"), world.command("pause", "*"))
    play.start()

    assert "while stopped" in play.last.reason


def test_a_person_may_set_a_config_while_stopped(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command("stop", "*"), world.command("set", config=world.NEW))

    assert (Phase.PROMOTED, world.NEW, 10_000) == (
        play.last.phase,
        play.config.stable,
        play.last.share,
    )


def test_set_serves_a_config_to_everybody_at_once(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command("set", config=world.NEW, by="bob"))

    assert (0, 0, None, Phase.PROMOTED, "bob") == (
        play.last.step,
        play.last.steps,
        play.last.previous,
        play.last.phase,
        play.last.by,
    )
    assert (world.OLD.version, world.NEW.version) == (
        play.last.stable_version,
        play.last.candidate_version,
    )
    assert (1, world.NEW) == (play.config.revision, play.config.stable)


def test_set_in_a_rollout_first_takes_it_back(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("set", config=world.OTHER))

    assert [Phase.ROLLED_BACK, Phase.PROMOTED] == [e.phase for e in play.events[-2:]]
    assert [world.OLD, world.OTHER] == [c.stable for c in play.configs[-2:]]
    assert [2, 3] == [c.revision for c in play.configs[-2:]]


def test_set_to_the_stable_config_ends_a_rollout_and_no_more(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("set", config=world.OLD))

    assert (Phase.ROLLED_BACK, 2) == (play.last.phase, play.config.revision)

    play.feed(world.command("set", id="again", config=world.OLD))

    assert "is the stable config already" in play.last.reason


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (None, "SET needs a config: send one."),
        (versioned(LlmConfig(version="", provider="x", model="y")), "Model x/y is not in the"),
        (LlmConfig(version="", provider="openai", model="small"), "send it as 'v-"),
    ],
)
def test_a_config_that_cannot_be_served_is_refused_with_a_sentence(
    world: ModuleType, config: LlmConfig | None, sentence: str
) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command("set", config=config))

    assert Phase.REJECTED is play.last.phase
    assert sentence in play.last.reason
    assert [] == play.configs


def test_set_for_all_is_the_config_behind_every_other_scope(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command("set", "*", config=world.NEW))

    assert [("*", world.NEW)] == [(c.scope, c.stable) for c in play.configs]


def test_rollback_without_a_version_ends_the_rollout(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("rollback"))

    assert (Phase.ROLLED_BACK, world.OLD, 2) == (
        play.last.phase,
        play.config.stable,
        play.config.revision,
    )


def test_rollback_goes_from_parent_to_parent(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("rollback", id="3"))
    play.feed(world.command("rollback", id="4"))

    assert [world.NEW, world.OTHER, world.NEW, world.OLD] == [c.stable for c in play.configs]
    assert (Phase.ROLLED_BACK, world.OLD.version, world.NEW.version) == (
        play.last.phase,
        play.last.stable_version,
        play.last.candidate_version,
    )

    play.feed(world.command("rollback", id="5"))

    assert "There is no version before the stable one" in play.last.reason


def test_rollback_to_a_named_version_goes_there(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("rollback", id="3", version=world.OLD.version))

    assert (4 - 1, world.OLD) == (play.config.revision, play.config.stable)


def test_rollback_to_a_named_version_ends_a_rollout_first(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.deploy("d", at=play.clock, chosen=world.NEW))
    play.feed(world.command("rollback", id="3", version=world.OLD.version))

    assert [Phase.ROLLED_BACK, Phase.ROLLED_BACK] == [e.phase for e in play.events[-2:]]
    assert [world.OTHER, world.OLD] == [c.stable for c in play.configs[-2:]]


def test_rollback_to_the_stable_version_ends_a_rollout_and_no_more(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("rollback", version=world.OLD.version))

    assert (2, Phase.ROLLED_BACK) == (play.config.revision, play.last.phase)

    play.feed(world.command("rollback", id="2", version=world.OLD.version))

    assert f"{world.OLD.version} is the stable config already." == play.last.reason


def test_rollback_to_an_unknown_version_is_refused_and_the_rollout_stays(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("rollback", version="v-nowhere"))

    assert Phase.REJECTED is play.last.phase
    assert f"v-nowhere was never stable here; known versions: {world.OLD.version}." == (
        play.last.reason
    )
    assert Phase.RAMPING is play.entry.rollout.phase


def test_what_a_person_rolled_back_is_not_tried_again(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("rollback", id="3"))
    play.feed(world.deploy("d", chosen=world.OTHER, at=play.clock))

    assert "was taken back here" in play.last.reason


@pytest.mark.parametrize("held", [False, True])
def test_promote_makes_the_candidate_stable_now(world: ModuleType, *, held: bool) -> None:
    play = world.Play()
    play.start()
    play.feed(*([world.command("pause")] if held else []), world.command("promote"))

    assert (Phase.PROMOTED, "alice", world.NEW, None) == (
        play.last.phase,
        play.last.by,
        play.config.stable,
        play.config.split,
    )


def test_abort_ends_the_rollout(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.minutes(2)
    play.feed(world.command("abort"))

    assert play.last.reason == (
        "Aborted by alice. 400 requests were served by the candidate in 120 s."
    )
    assert (world.OLD, None) == (play.config.stable, play.config.candidate)


@pytest.mark.parametrize("kind", [CommandKind.PROMOTE, CommandKind.ABORT])
def test_without_a_rollout_there_is_nothing_to_end(world: ModuleType, kind: CommandKind) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command(kind))

    assert f"There is no rollout to {kind} here." == play.last.reason
    assert [] == play.feed(world.command(kind, "*"))


def test_a_trigger_is_not_the_actuators(world: ModuleType) -> None:
    play = world.Play()

    assert [] == play.feed(world.command("trigger"))
    assert {} == play.state.scopes


def test_a_command_for_a_scope_of_another_partition_is_not_obeyed(world: ModuleType) -> None:
    play = world.Play(moment=replace(world.MOMENT, partitions=4, partition=1))
    # search/answer lies in partition 2 of 4.
    play.feed(world.command("set", config=world.NEW), world.command("pause"))

    assert ([], {}) == (play.emits, play.state.scopes)


def test_one_task_alone_serves_the_config_behind_all(world: ModuleType) -> None:
    word = world.command("set", "*", config=world.NEW)
    moments = [Moment(now=1, seed=1, epoch=1, partition=p, partitions=4) for p in range(4)]
    plays = [world.Play(moment=moment) for moment in moments]
    for play in plays:
        play.feed(word)

    assert [(0, 0)] * 3 + [(1, 1)] == sorted((len(p.configs), len(p.events)) for p in plays)


def test_a_command_that_comes_twice_is_obeyed_once(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("rollback"), world.command("rollback"))

    assert world.NEW == play.entry.stable
    assert 2 + 1 == play.entry.revision
