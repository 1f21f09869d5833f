from __future__ import annotations

from dataclasses import replace

import pytest

from processors.actuate.decision import name
from processors.actuate.version import versioned
from schemas.command import Command, CommandKind
from schemas.config import LlmConfig, ScopeConfig
from schemas.journal import JournalRecord, Range
from schemas.report import RollbackReport
from schemas.rollout import Deployment, Phase, Verdict
from schemas.scope import partition_of
from streams.commanding import Answer, answers, held, obeyed
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
REPORT = RollbackReport(
    id=name("m", SCOPE, "c1"),
    scope=SCOPE,
    at=0,
    revision=2,
    by="ada",
    cause="command",
    trigger=None,
    reason="Rehearsed by ada.",
    verdict=Verdict.INCONCLUSIVE,
    guardrails=(),
    share=10_000,
    left_version="v-2",
    left_model="openai/gpt-4o",
    restored_version="v-1",
    restored_model="openai/gpt-4o-mini",
    requests=0,
    failed=0,
    affected=0,
    first_bad_at=None,
    seconds=None,
    written_at=0,
    simulated=True,
    decision_id=None,
)


def seen(value: object) -> Seen:
    return Seen("llmopt.deployments.v1", 0, 0, 0, SCOPE, value)


def test_the_event_that_is_named_after_a_command_is_its_answer() -> None:
    assert answers(SET)(seen(EVENT))
    assert answers(SET)(seen(replace(EVENT, phase=Phase.REJECTED)))


def test_the_end_of_a_rollout_answers_who_sets_what_is_stable_already() -> None:
    config = versioned(LlmConfig(version="", provider="openai", model="gpt-4o"))
    word = replace(SET, config=config)
    ended = replace(EVENT, id="r-1", phase=Phase.ROLLED_BACK, stable_version=config.version)

    assert answers(word)(seen(ended))
    assert not answers(word)(seen(replace(ended, by="optimizer")))
    assert not answers(word)(seen(replace(ended, stable_version="v-other")))


def test_unset_is_answered_by_the_event_that_is_named_after_it() -> None:
    unset = replace(SET, kind=CommandKind.UNSET)

    assert answers(unset)(seen(replace(EVENT, phase=Phase.ROLLED_BACK)))
    assert not answers(unset)(seen(replace(EVENT, id="r-1", phase=Phase.ROLLED_BACK)))


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


def test_a_dry_run_is_answered_by_its_own_report_alone() -> None:
    dry = replace(SET, kind=CommandKind.ROLLBACK, dry_run=True)
    another = replace(EVENT, id="r-1", phase=Phase.ROLLED_BACK)  # by the same person, for real

    assert answers(dry)(seen(REPORT))
    assert not answers(dry)(seen(another))
    assert not answers(replace(dry, dry_run=False))(seen(replace(REPORT, simulated=False)))


def test_a_report_that_nothing_would_be_done_is_a_refusal() -> None:
    refused = replace(REPORT, refused=True, reason="Nothing to go back to.")

    assert "Nothing to go back to." == Answer(SET, None, report=refused).refusal
    assert Answer(SET, None, report=REPORT).refusal is None


@pytest.mark.parametrize(
    ("kind", "phase", "other"),
    [
        (CommandKind.PROMOTE, Phase.PROMOTED, Phase.ROLLED_BACK),
        (CommandKind.ABORT, Phase.ROLLED_BACK, Phase.PROMOTED),
        (CommandKind.REJECT, Phase.ROLLED_BACK, Phase.PENDING),
        (CommandKind.APPROVE, Phase.PENDING, Phase.ROLLED_BACK),
        (CommandKind.APPROVE, Phase.RAMPING, Phase.ROLLED_BACK),
    ],
)
def test_the_end_of_a_rollout_by_hand_is_answered_by_the_end_that_was_asked_for(
    kind: CommandKind, phase: Phase, other: Phase
) -> None:
    command = replace(SET, kind=kind)
    ended = replace(EVENT, id="r-1", phase=phase)

    assert answers(command)(seen(ended))
    assert answers(command)(seen(replace(EVENT, phase=Phase.REJECTED)))
    assert not answers(command)(seen(replace(ended, by="optimizer")))
    assert not answers(command)(seen(replace(ended, phase=other)))


def line(partition: int, start: int, end: int, topic: str = "llmopt.commands.v1") -> Seen:
    """A commit of one task of the actuator."""
    return seen(
        JournalRecord(
            stage="actuate",
            partition=partition,
            sequence=1,
            epoch=1,
            now=0,
            seed=0,
            ranges=(Range(topic=topic, partition=0, start=start, end=end),),
            catalog=0,
            policy="",
            watermark=None,
        )
    )


def test_a_hold_is_obeyed_when_the_task_of_its_scope_has_read_it() -> None:
    told = obeyed(replace(SET, kind=CommandKind.STOP), 7, 4)
    mine = partition_of(SCOPE, 4)

    assert not told(line((mine + 1) % 4, 0, 8))
    assert not told(line(mine, 0, 7))
    assert not told(line(mine, 8, 9))
    assert not told(line(mine, 0, 8, "llmopt.decisions.v1"))
    assert told(line(mine, 7, 8))


def test_a_stop_of_all_is_obeyed_when_every_task_has_read_it() -> None:
    told = obeyed(replace(SET, kind=CommandKind.STOP, scope="*"), 7, 3)

    assert [False, False, False, True] == [told(line(each, 5, 9)) for each in (0, 2, 2, 1)]


def test_a_rejection_is_a_refusal_and_silence_is_not() -> None:
    assert "Why." == Answer(SET, replace(EVENT, phase=Phase.REJECTED, reason="Why.")).refusal
    assert Answer(SET, EVENT).refusal is None
    assert Answer(SET, None).refusal is None


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
