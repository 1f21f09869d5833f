"""What a rollback was: told once, when it is over."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.rollout import Guardrail, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackReport:
    """What was taken back, why, on what evidence, whom it reached and how long it took.

    `first_bad_at` is where the evidence that decided begins: the start of the first minute beyond
    a trigger's limit, or the last minute in which a failing guardrail's evidence stood lowest,
    which is where the likelihood puts the change (Hinkley, Biometrika 57, 1970). None where nobody
    found anything bad: a person's word, a wait that was over.

    A rollback that is only rehearsed is told by a report alone, `simulated`: by no deployment and
    no move of its scope, so that nothing takes it for one that was made.
    """

    id: str  # of the deployment
    scope: str
    at: int  # ms, event time: of the stable config
    revision: int  # of the config that restored it
    by: str
    cause: str  # trigger, guardrail, rule, command, wait or catalog
    trigger: str | None  # its id, with a trigger or a rule
    reason: str  # a sentence
    verdict: Verdict
    guardrails: tuple[Guardrail, ...]
    share: int  # that was served when it was taken back, hundredths of a percent
    left_version: str | None
    left_model: str | None
    restored_version: str | None  # None: no config of its own, or refused
    restored_model: str | None
    requests: int  # that the config taken back has served, as far as they are counted
    failed: int  # of them
    affected: int  # of them since the first bad evidence
    first_bad_at: int | None  # ms, event time
    seconds: float | None  # from there to the config
    written_at: int  # ms, the worker's clock: when the config was written
    simulated: bool  # nothing was done
    decision_id: str | None
    counted_since: int | None = None  # ms, event time: of `requests`; None: nobody counted
    refused: bool = False  # simulated, and would not be done: the reason says why
