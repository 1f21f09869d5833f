from __future__ import annotations

from dataclasses import replace

import pytest

from processors.actuate.decision import name
from schemas.command import Command, CommandKind
from schemas.config import ScopeConfig
from schemas.rollout import Deployment, Phase, Verdict
from streams.commanding import Answer, answers, held
from streams.reading import Seen

SCOPE = "search/answer"
SET = Command(id="c1", kind=CommandKind.SET, scope=SCOPE, at=0, by="ada")
EVENT = Deployment(
    id=name("m", SCOPE, "c1"),
    scope=SCOPE,
    revision=2,
    sequence=1,
    at=0,
    phase=Phase.PROMOTED,
    previous=None,
    step=0,
    steps=0,
    share=10_000,
    verdict=Verdict.INCONCLUSIVE,
    guardrails=(),
    reason="Set by ada.",
    by="ada",
    decision_id=None,
    stable_version=None,
    candidate_version="v-1",
    stable_model=None,
    candidate_model="openai/gpt-4o",
)


def seen(value: object) -> Seen:
    return Seen("llmopt.deployments.v1", 0, 0, 0, SCOPE, value)


def test_the_event_that_is_named_after_a_command_is_its_answer() -> None:
    assert answers(SET)(seen(EVENT))
    assert answers(SET)(seen(replace(EVENT, phase=Phase.REJECTED)))


@pytest.mark.parametrize(
    "other",
    [
        replace(EVENT, id="m-other"),
        replace(EVENT, scope="search/other"),
        replace(EVENT, id="r-1", phase=Phase.ROLLED_BACK),  # SET also ends a rollout, first
        ScopeConfig(scope=SCOPE, revision=1, epoch=1, stable=None),
        None,
    ],
)
def test_what_others_caused_is_no_answer(other: object) -> None:
    assert not answers(SET)(seen(other))


def test_a_rollback_is_answered_by_the_end_of_the_rollout_that_it_ended() -> None:
    rollback = replace(SET, kind=CommandKind.ROLLBACK)
    ended = replace(EVENT, id="r-1", phase=Phase.ROLLED_BACK)

    assert answers(rollback)(seen(ended))
    assert not answers(rollback)(seen(replace(ended, by="optimizer")))


def test_a_rejection_is_a_refusal_and_silence_is_not() -> None:
    assert Answer(SET, replace(EVENT, phase=Phase.REJECTED)).refused
    assert not Answer(SET, EVENT).refused
    assert not Answer(SET, None).refused


def commands(*said: tuple[CommandKind, str]) -> list[Command]:
    return [replace(SET, kind=kind, scope=scope) for kind, scope in said]


@pytest.mark.parametrize(
    ("said", "holds"),
    [
        ([(CommandKind.PAUSE, "a/b")], {"a/b": "pause"}),
        ([(CommandKind.PAUSE, "a/b"), (CommandKind.RESUME, "a/b")], {}),
        ([(CommandKind.PAUSE, "a/b"), (CommandKind.RESUME, "*")], {}),
        ([(CommandKind.STOP, "*"), (CommandKind.RESUME, "a/b")], {"*": "stop"}),
        ([(CommandKind.STOP, "*"), (CommandKind.PAUSE, "*")], {"*": "stop"}),
        ([(CommandKind.PAUSE, "*"), (CommandKind.STOP, "*")], {"*": "stop"}),
        ([(CommandKind.SET, "a/b"), (CommandKind.TRIGGER, "a/b")], {}),
    ],
)
def test_holds_follow_the_commands(
    said: list[tuple[CommandKind, str]], holds: dict[str, str]
) -> None:
    assert holds == {scope: c.kind.value for scope, c in held(commands(*said)).items()}
