# `llmopt` is a fixture whose type lies in a conftest
from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from schemas.command import Command, CommandKind
from schemas.config import ScopeConfig, Split
from schemas.topics import COMMANDS, CONFIG
from streams.reading import Seen, Unreachable, Watch
from tests.integration.cli.acting import STABLE, beside, tell_read

pytestmark = pytest.mark.integration


@contextmanager
def reader(llmopt: Any) -> Iterator[list[Command]]:
    """Tells the next command as read in the journal of every task of the actuate stage."""
    read: list[Command] = []

    def answer(seen: Seen) -> None:
        read.append(seen.value)
        tell_read(llmopt, seen)

    with beside(llmopt, answer):
        yield read


@pytest.fixture
def served(llmopt: Any, scope: str) -> str:
    """A scope that is served."""
    llmopt.produce(CONFIG.name, scope, ScopeConfig(scope=scope, revision=1, epoch=1, stable=STABLE))
    return scope


def test_a_stop_says_stopped_once_every_task_has_read_it(llmopt: Any, served: str) -> None:
    with reader(llmopt) as read:
        said = llmopt.json("stop", served, "--by", "ada")
    with reader(llmopt):
        resumed = llmopt("resume", served).stdout

    assert f"Resumed: {served}, by " in resumed
    assert f"Lifted: the stop of {served} by ada since " in resumed
    assert [CommandKind.STOP] == [each.kind for each in read]
    assert (True, "stop") == (said["obeyed"], said["hold"]["kind"])


def test_a_resume_names_all_that_it_lifts(llmopt: Any, served: str) -> None:
    for words in (("pause", served, "--by", "ada", "--reason", "lunch."), ("stop", "--by", "eve")):
        with reader(llmopt):
            llmopt(*words)
    with reader(llmopt):
        lifted = llmopt.json("resume")["lifted"]

    assert {("pause", served, "ada", "lunch."), ("stop", "*", "eve", "")} == {
        (each["kind"], each["scope"], each["by"], each["reason"]) for each in lifted
    }


def test_a_resume_where_nothing_was_held_says_so(llmopt: Any, served: str) -> None:
    with reader(llmopt):
        one = llmopt("resume", served).stdout
    with reader(llmopt):
        llmopt("resume")
    with reader(llmopt):
        every = llmopt("resume").stdout

    assert one.startswith(f"Nothing to resume: no pause and no stop of {served}.")
    assert every.startswith("Nothing to resume: no pause, no stop.")


def test_a_resume_beneath_a_stop_says_what_it_lifts_and_what_still_holds(
    llmopt: Any, served: str
) -> None:
    for words in (("pause", served, "--by", "ada", "--reason", "lunch."), ("stop", "--by", "eve")):
        with reader(llmopt):
            llmopt(*words)
    with reader(llmopt):
        answer = llmopt("resume", served, "--json", expect=1)
    with reader(llmopt):
        llmopt("resume")
    told = json.loads(answer.stdout)

    assert f"llmopt: {told['error']}\n" == answer.stderr
    assert told["error"].startswith(f"Lifted: the pause of {served} by ada since ")
    assert f"UTC: lunch. {served} is still held by the stop of all scopes by eve" in answer.stderr
    assert ("stop", ["ada"], True) == (
        told["hold"]["kind"],
        [each["by"] for each in told["lifted"]],
        told["obeyed"],
    )


def test_a_program_reads_what_became_of_a_hold_that_failed(llmopt: Any, served: str) -> None:
    with reader(llmopt):
        told = llmopt.json("stop", f"{served}x", "--by", "ada", expect=1)
    with reader(llmopt):
        llmopt("resume", f"{served}x")

    assert (1, True, f"{served}x", "stop") == (
        told["exit"],
        told["obeyed"],
        told["command"]["scope"],
        told["command"]["kind"],
    )
    assert f"did you mean '{served}'?" in told["error"]


@pytest.mark.parametrize("kind", ["pause", "resume", "stop"])
def test_a_hold_that_nobody_obeys_is_sent_and_says_so(llmopt: Any, served: str, kind: str) -> None:
    watch = Watch(llmopt.settings, llmopt.codec, [COMMANDS])
    try:
        answer = llmopt(kind, served, expect=1)
        sent = watch.until(lambda seen: seen.key == served, 10)
    finally:
        watch.close()

    assert sent is not None
    assert kind == sent.value.kind.value
    assert "" == answer.stdout  # people read the sentence
    assert f"The {kind} of {served} is sent, but no actuator is running" in answer.stderr
    assert "Nothing has been served" not in answer.stderr


def test_a_hold_in_a_scope_where_nothing_is_served_says_which_may_be_meant(
    llmopt: Any, served: str
) -> None:
    with reader(llmopt) as read:
        answer = llmopt("stop", f"{served}x", expect=1)
    with reader(llmopt):
        assert "Resumed" in llmopt("resume", f"{served}x").stdout

    assert [f"{served}x"] == [each.scope for each in read]
    assert "is sent and obeyed." in answer.stderr
    assert f"did you mean '{served}'?" in answer.stderr


def test_a_stop_is_sent_even_when_nothing_can_be_watched(
    llmopt: Any, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> Watch:
        raise Unreachable("There is no topic")

    monkeypatch.setattr("streams.commanding.Watch", missing)
    watch = Watch(llmopt.settings, llmopt.codec, [COMMANDS])
    try:
        answer = llmopt("stop", scope, expect=1)
        sent = watch.until(lambda seen: seen.key == scope, 10)
    finally:
        watch.close()

    assert sent is not None
    assert "is sent, but what became of it cannot be seen. There is no topic." in answer.stderr


def test_holds_and_rollouts_are_seen_in_the_status(llmopt: Any, scope: str) -> None:
    split = Split(rollout_id="r-1", salt="s", share=2_500)
    config = ScopeConfig(
        scope=scope, revision=1, epoch=1, stable=STABLE, candidate=STABLE, split=split
    )
    llmopt.produce(CONFIG.name, scope, config)
    with reader(llmopt):
        llmopt("pause", scope, "--by", "ada", "--reason", "holiday")
    with reader(llmopt):
        llmopt("stop", "--by", "eve", "--reason", "incident")
    stopped = llmopt.json("status")
    shown = llmopt("status").stdout
    with reader(llmopt):
        assert "still held by the stop of all" in llmopt("resume", scope, expect=1).stderr
    with reader(llmopt):
        llmopt("pause", scope, "--by", "ada", "--reason", "holiday")
    with reader(llmopt):
        assert "stop" == llmopt.json("status")["holds"]["*"]["kind"]
        llmopt("resume")

    assert "stopped" == stopped["mode"]
    assert ("pause", "holiday") == tuple(stopped["holds"][scope][k] for k in ("kind", "reason"))
    assert 0.25 == next(r for r in stopped["rollouts"] if r["scope"] == scope)["split"]["share"]
    assert "stop of all scopes by eve since " in shown
    assert "UTC: incident\n    NOT obeyed yet: committed by 0 of 4 tasks of the actuator" in shown
    assert "25 %" in shown
    assert ("running", {}) == tuple(llmopt.json("status")[key] for key in ("mode", "holds"))
