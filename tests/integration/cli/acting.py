"""An actuator that says what a test wants it to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from processors.actuate.decision import name
from processors.actuate.version import versioned
from schemas.command import Command
from schemas.config import LlmConfig
from schemas.rollout import Deployment, Phase, Verdict
from schemas.topics import COMMANDS, DEPLOYMENTS
from streams.reading import Watch

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
    watch = Watch(llmopt.settings, llmopt.codec, [COMMANDS])

    def work() -> None:
        seen = watch.until(lambda _: True, 30)
        assert seen is not None
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

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield obeyed
    finally:
        thread.join(40)
        watch.close()
