"""An actuator that says what a test wants it to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from processors.actuate.decision import name
from processors.actuate.version import versioned
from schemas.command import Command
from schemas.config import LlmConfig
from schemas.journal import JournalRecord, Range
from schemas.rollout import Deployment, Phase, Verdict
from schemas.topics import COMMANDS, DEPLOYMENTS, journal
from streams.reading import Seen, Watch

CATALOG = b'{"provider": "test", "model": "fit", "quality": 80}'
STABLE = versioned(LlmConfig(version="", provider="openai", model="gpt-4o"))
EVENT = Deployment(
    id="",
    scope="",
    revision=3,
    sequence=1,
    at=1_760_000_000_000,
    phase=Phase.PROMOTED,
    previous=None,
    step=0,
    steps=0,
    share=10_000,
    verdict=Verdict.INCONCLUSIVE,
    guardrails=(),
    reason="",
    by="ada",
    decision_id=None,
    stable_version=None,
    candidate_version=None,
    stable_model=None,
    candidate_model=None,
)
LINE = JournalRecord(
    stage="actuate",
    partition=0,
    sequence=1,
    epoch=1,
    now=0,
    seed=0,
    ranges=(),
    catalog=0,
    policy="",
    watermark=None,
)


@contextmanager
def beside(
    llmopt: Any, answer: Callable[[Seen], None], wanted: Callable[[Seen], bool] = lambda _: True
) -> Iterator[None]:
    """*answer* the next command that is *wanted*, beside what is done meanwhile."""
    watch = Watch(llmopt.settings, llmopt.codec, [COMMANDS])

    def work() -> None:
        seen = watch.until(wanted, 30)
        assert seen is not None
        answer(seen)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(40)
        watch.close()


def tell_read(llmopt: Any, seen: Seen) -> None:
    """Tell a command as read in the journal of every task of the actuate stage."""
    read = Range(topic=COMMANDS.name, partition=0, start=seen.offset, end=seen.offset + 1)
    for partition in range(llmopt.settings.partitions_derived):
        line = replace(LINE, partition=partition, ranges=(read,))
        llmopt.produce(journal("actuate").name, str(partition), line)


@contextmanager
def actuator(
    llmopt: Any,
    phase: Phase,
    reason: str,
    rollout: str | None = None,
    event: Deployment = EVENT,
) -> Iterator[list[Command]]:
    """Answers the next command as the actuate stage would, with an event of *rollout* if given."""
    obeyed: list[Command] = []

    def answer(seen: Seen) -> None:
        command: Command = seen.value
        obeyed.append(command)
        model = None if command.config is None else f"test/{command.config.model}"
        told = replace(
            event,
            id=rollout or name("m", command.scope, command.id),
            scope=command.scope,
            by=command.by,
            phase=phase,
            reason=reason,
            candidate_model=model,
        )
        llmopt.produce(DEPLOYMENTS.name, command.scope, told)

    with beside(llmopt, answer):
        yield obeyed
