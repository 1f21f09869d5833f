"""What an application is served, and when a record may change it."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmopt_client import Change, Config
from llmopt_client.scope import InvalidConfig, parse
from llmopt_client.scopes import Scopes

DEFAULT = Config(provider="own", model="own-model", temperature=0.3, max_tokens=500)


def record(
    scope: str = "shop/answer",
    revision: int = 1,
    epoch: int = 1,
    share: int | None = None,
    **more: object,
) -> bytes:
    stable = {"version": f"v{revision}", "provider": "openai", "model": f"model-{revision}"}
    whole: dict[str, Any] = {"scope": scope, "revision": revision, "epoch": epoch, "stable": stable}
    if share is not None:
        whole["candidate"] = {"version": "c", "provider": "openai", "model": "cheap"}
        whole["split"] = {"rollout_id": "r", "salt": "r", "share": share}
    return json.dumps({**whole, **more}).encode()


def scopes(folder: Path | None = None, services: tuple[str, ...] | None = None) -> Scopes:
    return Scopes(folder, "app", services, lambda _: None)


def following(*values: bytes) -> Scopes:
    """Scopes that have read an empty topic and then heard *values*."""
    them = scopes()
    them.caught_up("cluster")
    for value in values:
        them.heard(None, value)
        them.caught_up("cluster")
    return them


def served(them: Scopes, unit: str | None = None, default: Config | None = DEFAULT) -> Config:
    plan = them.table.plan("shop", "answer", default)
    return plan.alone if unit is None or plan.candidate is None else plan.serve(unit)


def test_the_narrowest_scope_that_says_anything_wins() -> None:
    everywhere = record("*", 1)
    service = record("shop", 2)
    endpoint = record("shop/answer", 3)

    assert "own-model" == served(following()).model
    assert "model-1" == served(following(everywhere)).model
    assert "model-2" == served(following(everywhere, service)).model
    assert "model-3" == served(following(everywhere, endpoint, service)).model


def test_a_scope_with_nothing_to_say_leaves_it_to_the_wider_one() -> None:
    them = following(record("shop", 2), record("shop/answer", 3, stable=None))

    assert "model-2" == served(them).model


def test_the_default_fills_what_the_config_leaves_open() -> None:
    stable = {
        "version": "v",
        "provider": "p",
        "model": "m",
        "temperature": 0.9,
        "parameters": {"a": "1"},
    }
    default = Config(temperature=0.1, top_k=7, parameters={"a": "0", "b": "2"})
    config = served(following(record(stable=stable)), default=default)

    assert ("m", 0.9, 7, "v") == (config.model, config.temperature, config.top_k, config.version)
    assert {"a": "1", "b": "2"} == config.parameters


def test_a_rollout_divides_units_and_leaves_requests_without_one_alone() -> None:
    them = following(record(share=5_000))
    cohorts = [served(them, f"u{i}").cohort for i in range(200)]

    assert {"stable", "candidate"} == set(cohorts)
    assert 60 < cohorts.count("candidate") < 140
    assert (None, "model-1") == (served(them).cohort, served(them).model)
    assert served(them, "u1") == served(them, "u1")


def test_a_scope_without_a_rollout_has_no_cohorts() -> None:
    assert served(following(record()), "u1").cohort is None


def test_a_rollout_over_the_default_keeps_the_default_for_the_others() -> None:
    them = following(record(share=0, stable=None))
    config = served(them, "u1")

    assert ("own-model", "stable", None) == (config.model, config.cohort, config.version)


def test_an_older_revision_changes_nothing() -> None:
    them = following(record(revision=5), record(revision=4), record(revision=5, epoch=2))

    assert "model-5" == served(them).model
    assert 2 == them.counts()["stale"]


def test_a_fenced_owner_changes_nothing() -> None:
    them = following(record(revision=5, epoch=3), record(revision=6, epoch=2))

    assert "model-5" == served(them).model


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 4)), max_size=30))
def test_revision_and_epoch_never_go_back(pairs: list[tuple[int, int]]) -> None:
    them = scopes()
    seen: list[Change] = []
    them.subscribe(seen.append)
    them.caught_up(None)
    for revision, epoch in pairs:
        them.heard(None, record(revision=revision, epoch=epoch))
        them.caught_up(None)

    assert all(a.revision < b.revision and a.epoch <= b.epoch for a, b in pairwise(seen))


def test_a_tombstone_gives_the_scope_back() -> None:
    them = following(record(revision=5))
    them.heard("shop/answer", None)
    them.caught_up(None)

    assert "own-model" == served(them).model

    them.heard(None, record(revision=1))
    them.caught_up(None)

    assert "model-1" == served(them).model


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"[]",
        b"\x00\x00\x00\x00\x01abc",
        b'{"scope": "shop/answer"}',
        record(revision=True),
        record(stable={"version": "v", "provider": "p"}),
        record(stable="gpt"),
        record(share=10_001),
        record(share=-1),
        record(stable={"version": "v", "provider": "p", "model": "m", "temperature": "hot"}),
        record(stable={"version": "v", "provider": "p", "model": "m", "parameters": {"a": 1}}),
    ],
)
def test_an_unusable_record_leaves_the_scope_as_it_is(value: bytes) -> None:
    them = following(record(revision=1), value)

    assert "model-1" == served(them).model
    assert 1 == them.counts()["unusable"]


@given(st.binary(max_size=50))
def test_no_bytes_raise_anything_but_invalid_config(value: bytes) -> None:
    try:
        parse(value)
    except InvalidConfig:
        return


def test_only_the_newest_state_is_told_after_the_first_read() -> None:
    them = scopes()
    seen: list[Change] = []
    them.subscribe(seen.append)
    them.heard(None, record(revision=1))
    them.heard(None, record(revision=2))

    assert [] == seen

    them.caught_up(None)

    assert [2] == [change.revision for change in seen]


def test_a_failing_subscriber_is_counted_and_the_others_are_told() -> None:
    them = scopes()
    seen: list[Change] = []

    def failing(_: Change) -> None:
        raise RuntimeError

    them.subscribe(failing)
    unsubscribe = them.subscribe(seen.append)
    them.caught_up(None)
    them.heard(None, record())
    unsubscribe()
    them.caught_up(None)
    them.heard(None, record(revision=2))
    them.caught_up(None)

    assert 2 == them.counts()["callback_errors"]
    assert 1 == len(seen)


def test_only_the_services_asked_for_are_kept() -> None:
    them = scopes(services=("shop",))
    for scope in ("shop", "shop/answer", "search/answer", "*"):
        them.heard(None, record(scope))
    them.caught_up(None)

    assert {"shop", "shop/answer", "*"} == set(them.table.states)


def test_a_change_of_one_scope_keeps_what_is_known_of_the_others() -> None:
    them = following(record("shop/answer"), record("search/find"))
    answer = them.table.plan("shop", "answer", DEFAULT)
    find = them.table.plan("search", "find", DEFAULT)
    them.heard(None, record("search/find", 2))
    them.caught_up(None)

    assert [answer] == list(them.table.plans.values())
    assert find.alone.model != them.table.plan("search", "find", DEFAULT).alone.model


def test_a_start_without_kafka_keeps_the_last_configs(tmp_path: Path) -> None:
    first = scopes(tmp_path)
    first.heard(None, record(revision=4, share=5_000))
    first.caught_up("cluster")
    first.save()
    second = scopes(tmp_path)

    assert served(first, "u1") == served(second, "u1")
    assert "model-4" == served(second).model


def test_the_topic_overrules_the_file_once_it_is_read(tmp_path: Path) -> None:
    first = scopes(tmp_path)
    first.heard(None, record("shop/answer", 4))
    first.heard(None, record("shop", 9))
    first.caught_up("cluster")
    first.save()
    second = scopes(tmp_path)
    second.heard(None, record("shop/answer", 4))
    second.caught_up("cluster")

    assert {"shop/answer"} == set(second.table.states)
    assert 0 == second.counts()["stale"]


def test_a_file_of_another_cluster_does_not_hold_back_its_revisions(tmp_path: Path) -> None:
    first = scopes(tmp_path)
    first.heard(None, record(revision=40))
    first.caught_up("old")
    first.save()
    second = scopes(tmp_path)
    second.heard(None, record(revision=2))

    assert "model-40" == served(second).model

    second.caught_up("new")

    assert "model-2" == served(second).model


def test_another_cluster_begins_its_revisions_anew_while_the_application_lives() -> None:
    them = following(record("shop/answer", 40, 9), record("shop", 41, 9), record("*", 42, 9))
    seen: list[Change] = []
    them.subscribe(seen.append)
    them.began()
    them.heard(None, record("shop/answer", 1, share=5_000))
    them.heard(None, record("shop/answer", 2))
    them.heard(None, record("*", 43, 1))

    assert "model-40" == served(them).model

    them.caught_up("another")

    assert "model-2" == served(them).model
    assert {"shop/answer": 2, "*": 43} == {k: v.revision for k, v in them.table.states.items()}
    assert {("shop/answer", 2, False), ("*", 43, False), ("shop", 41, True)} == {
        (change.scope, change.revision, change.deleted) for change in seen
    }
    assert them.whole.is_set()

    them.heard(None, record("shop/answer", 3))
    them.heard(None, record("shop/answer", 3))

    assert "model-3" == served(them).model
    assert 1 == them.counts()["stale"]


def test_an_empty_cluster_leaves_the_configs_in_force_until_it_was_read() -> None:
    them = following(record(revision=40))
    them.began()
    them.paused()

    assert "model-40" == served(them).model

    them.caught_up("another")

    assert "own-model" == served(them).model


def test_reading_the_same_cluster_again_changes_only_what_changed() -> None:
    them = following(record("shop/answer", 4), record("shop", 5), record("*", 6))
    seen: list[Change] = []
    them.subscribe(seen.append)
    them.began()
    for again in (record("shop/answer", 3), record("shop/answer", 4), record("*", 7)):
        them.heard(None, again)
    them.caught_up("cluster")

    assert {"shop/answer": 4, "*": 7} == {k: v.revision for k, v in them.table.states.items()}
    assert {("*", False), ("shop", True)} == {(change.scope, change.deleted) for change in seen}
    assert 0 == them.counts()["stale"]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "foreign"])
def test_a_damaged_file_is_ignored(tmp_path: Path, damage: str) -> None:
    first = scopes(tmp_path)
    first.heard(None, record(revision=4))
    first.caught_up("cluster")
    first.save()
    (file,) = tmp_path.iterdir()
    text = file.read_text()
    damaged = {
        "cut": text[:-20],
        "flip": text.replace("model-4", "model-5"),
        "empty": "",
        "foreign": '{"format": 1, "scopes": {"shop/answer": {}}, "crc": 0}',
    }
    file.write_text(damaged[damage])

    assert "own-model" == served(scopes(tmp_path)).model


def test_a_folder_that_cannot_be_written_is_only_counted(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where a folder should be")
    them = scopes(tmp_path / "taken")
    them.heard(None, record())
    them.caught_up(None)
    them.save()

    assert "model-1" == served(them).model
    assert 1 == them.counts()["troubles"]


def test_two_applications_never_share_a_file(tmp_path: Path) -> None:
    for app in ("a/b", "a_b", "a b"):
        them = Scopes(tmp_path, app, None, lambda _: None)
        them.heard(None, record())
        them.caught_up(None)
        them.save()

    assert 3 == len(list(tmp_path.iterdir()))


def test_a_scope_whose_config_is_removed_falls_back_and_is_acknowledged() -> None:
    acknowledged: list[int] = []
    told: list[Change] = []
    them = Scopes(None, "app", None, lambda change: acknowledged.append(change.revision))
    them.caught_up("cluster")
    them.subscribe(told.append)
    for value in (record("shop", 1), record(revision=2), record(revision=3, stable=None)):
        them.heard(None, value)
    them.caught_up("cluster")

    assert "model-1" == served(them).model
    assert [1, 2, 3] == acknowledged
    assert [(False, 2), (True, 3)] == [(each.deleted, each.revision) for each in told[1:]]

    them.heard(None, record(revision=2))

    assert "model-1" == served(them).model
