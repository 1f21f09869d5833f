"""A config that a person removes."""

from __future__ import annotations

from types import ModuleType

from schemas.rollout import Phase


def test_unset_leaves_a_scope_without_a_config_and_revisions_rise(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("unset", by="bob", reason="Mistyped."))

    assert (3, None, None, None) == (
        play.config.revision,
        play.config.stable,
        play.config.candidate,
        play.config.split,
    )
    assert (Phase.ROLLED_BACK, None, world.OTHER.version, False, "bob") == (
        play.last.phase,
        play.last.stable_version,
        play.last.candidate_version,
        play.last.blamed,
        play.last.by,
    )
    assert "Unset by bob: Mistyped." == play.last.reason

    play.feed(world.command("set", id="3", config=world.NEW))

    assert (4, world.NEW) == (play.config.revision, play.config.stable)


def test_unset_in_a_rollout_first_takes_it_back(world: ModuleType) -> None:
    play = world.Play()
    play.start()
    play.feed(world.command("unset"))

    assert [Phase.ROLLED_BACK, Phase.ROLLED_BACK] == [e.phase for e in play.events[-2:]]
    assert [(world.OLD, 2), (None, 3)] == [(c.stable, c.revision) for c in play.configs[-2:]]
    assert play.entry.rollout is None


def test_who_serves_is_learned_anew_after_unset(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("unset"))
    play.past()
    play.feed(world.deploy(at=play.clock))

    assert (Phase.RAMPING, world.OLD) == (play.last.phase, play.config.stable)


def test_where_no_config_is_set_none_is_removed(world: ModuleType) -> None:
    play = world.Play()
    play.past()
    play.feed(world.command("unset"))

    assert ([], "No config is set here: there is none to remove.") == (
        play.configs,
        play.last.reason,
    )


def test_what_was_unset_is_not_rolled_back(world: ModuleType) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("unset"))
    play.feed(world.command("rollback", version=world.NEW.version))

    assert (3, Phase.REJECTED) == (play.config.revision, play.last.phase)
    assert "No config is set here to take back: set one." == play.last.reason


def test_that_what_was_unset_would_not_be_rolled_back_is_told_by_a_report_alone(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("unset"))
    entry = play.entry
    told = play.feed(world.command("rollback", version=world.NEW.version, dry_run=True))

    assert (3, entry, [True]) == (
        play.config.revision,
        play.entry,
        [emit.value.refused for emit in told],
    )
    assert "No config is set here to take back: set one." == told[0].value.reason


def test_unset_for_all_removes_the_config_behind_every_scope_and_no_other(
    world: ModuleType,
) -> None:
    play = world.Play()
    play.three_versions()
    play.feed(world.command("set", "*", config=world.NEW))
    play.feed(world.command("unset", "*"))

    assert [("*", world.NEW), ("*", None)] == [(c.scope, c.stable) for c in play.configs[-2:]]
    assert world.OTHER == play.entry.stable

    play.feed(world.command("unset", "*", id="again"))

    assert "No config is set here: there is none to remove." == play.last.reason
