# `llmopt` is a fixture whose type lies in a conftest
from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from processors.actuate.policy import ActuatePolicy
from processors.actuate.state import ActuateState, ScopeState, fresh
from processors.actuate.step import step
from processors.actuate.triggers.vigil import Vigil
from processors.actuate.version import versioned
from schemas.alarm import Alarm, Answer
from schemas.catalog import Catalog, Model
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig
from schemas.flow import Input, Moment
from schemas.scope import ALL
from schemas.topics import COMMANDS, DEPLOYMENTS
from streams.reading import Seen
from tests.integration.cli.acting import beside, tell_read

pytestmark = pytest.mark.integration

MODELS = ("large", "small")
CONFIGS = [versioned(LlmConfig(version="", provider="openai", model=model)) for model in MODELS]
POLICY = ActuatePolicy(
    catalog=Catalog(models={f"openai/{m}": Model(provider="openai", model=m) for m in MODELS})
)
MOMENT = Moment(now=1_700_000_000_000, seed=1, epoch=1, partition=0, partitions=1)
QUESTION = Alarm(
    id="a-1",
    scope="search/answer",
    at=MOMENT.now,
    trigger="poor",
    severity="medium",
    metric="quality",
    answer=Answer.ASKED,
    value=70.0,
    limit=80.0,
    baseline=90.0,
    requests=500,
    rollout_id=None,
    version=CONFIGS[1].version,
    target_version=CONFIGS[0].version,
    expires_at=MOMENT.now + 10**12,
    by="optimizer",
    sentence="Poorer than before.",
)


def told(scope: str) -> ActuateState:
    """The state of an actuator that was told to serve one config after the other."""
    state = fresh()
    for n, config in enumerate(CONFIGS):
        said = Command(
            id=f"s{n}", kind=CommandKind.SET, scope=scope, at=MOMENT.now, by="ada", config=config
        )
        state = step(POLICY, state, [Input(COMMANDS.name, n, said)], MOMENT).state
    return state


@contextmanager
def actuator(
    llmopt: Any, scope: str, question: Alarm | None = None
) -> Iterator[list[ActuateState]]:
    """Obeys the next command by the real step, and writes what comes of it."""
    after: list[ActuateState] = []

    def answer(seen: Seen) -> None:
        state = told(scope)
        if question is not None:
            vigil = Vigil(subject=CONFIGS[1].version, since=MOMENT.now, question=question)
            entry = replace(state.scopes[scope], vigil=vigil)
            state = ActuateState({**state.scopes, scope: entry})
        done = step(POLICY, state, [Input(COMMANDS.name, 9, seen.value)], MOMENT)
        after.append(done.state)
        for emit in done.emits:
            llmopt.produce(emit.topic, emit.key, emit.value)

    with beside(llmopt, answer, lambda each: each.key == scope):
        yield after


def test_a_dry_run_says_what_would_be_restored_and_changes_nothing(llmopt: Any, scope: str) -> None:
    with actuator(llmopt, scope) as after:
        said = llmopt("config", "rollback", scope, "--dry-run", "--by", "ada").stdout

    large, small = (config.version for config in CONFIGS)
    assert (
        f"{scope}: openai/small ({small}) would be taken back from all requests; "
        f"openai/large ({large}) would serve again."
    ) == said.splitlines()[0]
    assert CONFIGS[1] == after[0].scopes[scope].stable


def test_a_dry_run_is_nowhere_taken_for_a_rollback(llmopt: Any, scope: str) -> None:
    with actuator(llmopt, scope):
        done = llmopt.json("config", "rollback", scope, "--by", "ada")["event"]
    with actuator(llmopt, scope):
        dry = llmopt.json("config", "rollback", scope, "--dry-run", "--by", "ada")["report"]
    with actuator(llmopt, scope):
        words = ("config", "rollback", scope, "--dry-run", "--to", "v-0", "--by", "ada")
        refused = llmopt(*words, "--json", expect=1)
    told = json.loads(refused.stdout)

    assert f"llmopt: {told['error']}\n" == refused.stderr
    assert ("v-0 was never stable here", True) == (
        told["error"].partition(";")[0],
        told["command"]["dry_run"],
    )
    assert [done["id"]] == [
        each["id"] for each in llmopt.json("deployments", "list", "--scope", scope, "--refused")
    ]
    assert [done["id"], None] == [  # and what served before it
        each["id"] for each in llmopt.json("config", "history", scope)
    ]
    assert done["id"] == llmopt.json("deployments", "report", scope)["id"]
    assert dry == llmopt.json("deployments", "report", dry["id"])
    newest = llmopt.json("deployments", "report", scope, "--simulated")
    assert (True, told["error"]) == (newest["refused"], newest["reason"])
    assert "no deployment" in llmopt("deployments", "show", dry["id"], expect=3).stderr


@contextmanager
def actuators(llmopt: Any, scopes: Sequence[str]) -> Iterator[None]:
    """Obey the next command for all scopes, task by task, as the owners of these scopes."""

    def answer(seen: Seen) -> None:
        entries: dict[str, ScopeState] = {}
        for scope in scopes:
            entries |= told(scope).scopes
        state = ActuateState(entries)
        for emit in step(POLICY, state, [Input(COMMANDS.name, 9, seen.value)], MOMENT).emits:
            llmopt.produce(emit.topic, emit.key, emit.value)
        tell_read(llmopt, seen)

    with beside(llmopt, answer, lambda each: each.key == ALL):
        yield


def test_a_rollback_of_all_scopes_says_what_it_did_in_each(llmopt: Any, scope: str) -> None:
    scopes = [scope, f"{scope}-2"]
    with actuators(llmopt, scopes):
        dry = llmopt.json("config", "rollback", "*", "--dry-run", "--by", "ada")["reports"]
    with actuators(llmopt, scopes):
        done = llmopt("config", "rollback", "*", "--by", "ada").stdout
    with actuators(llmopt, []):
        nothing = llmopt("config", "rollback", "*", "--by", "ada").stdout

    assert [(each, True) for each in scopes] == sorted(
        (each["scope"], each["simulated"]) for each in dry
    )
    assert [f"{each} is served openai/large" for each in scopes] == sorted(
        line.partition(" v-")[0] for line in done.splitlines()
    )
    assert "No scope has anything to take back.\n" == nothing


def test_a_scope_with_nothing_but_simulations_has_no_report(llmopt: Any, scope: str) -> None:
    with actuator(llmopt, scope):
        llmopt("config", "rollback", scope, "--dry-run")

    assert "is told with --simulated" in llmopt("deployments", "report", scope, expect=3).stderr


def test_a_rollback_is_reported_by_its_scope_and_by_its_id(llmopt: Any, scope: str) -> None:
    with actuator(llmopt, scope) as after:
        event = llmopt.json("config", "rollback", scope, "--by", "ada")["event"]
    report = llmopt.json("deployments", "report", event["id"])

    assert CONFIGS[0] == after[0].scopes[scope].stable
    assert ("command", False, 3) == (report["cause"], report["simulated"], report["revision"])
    assert report == llmopt.json("deployments", "report", scope)
    assert "was taken back from all requests" in llmopt("deployments", "report", scope).stdout


def test_a_question_is_listed_and_answered(llmopt: Any, scope: str) -> None:
    question = replace(QUESTION, id=f"a-{scope}", scope=scope)
    llmopt.produce(DEPLOYMENTS.name, scope, question)

    assert [question.id] == [
        each["id"] for each in llmopt.json("alarms", "list", "--open", "--scope", scope)
    ]

    with actuator(llmopt, scope, question) as after:
        said = llmopt(
            "alarms", "approve", question.id, "--by", "ada", "--reason", "I saw it"
        ).stdout

    assert f"{scope}: approved. Approved by ada: I saw it.\n" == said
    assert CONFIGS[0] == after[0].scopes[scope].stable
    assert (
        "Nothing waits for an answer."
        in llmopt("alarms", "list", "--open", "--scope", scope).stdout
    )
    assert "It is approved" in llmopt("alarms", "reject", question.id, expect=3).stderr


def test_what_was_never_rolled_back_has_no_report(llmopt: Any, scope: str) -> None:
    assert (
        f"There is no report of {scope}" in llmopt("deployments", "report", scope, expect=3).stderr
    )
