"""What follows when a trigger holds: back, a question to a person, or a word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from processors.actuate.report import report
from processors.actuate.triggers.look import Finding
from processors.actuate.triggers.say import found, sentence
from processors.actuate.triggers.vigil import Vigil
from processors.actuate.turn import OPTIMIZER, Cause, Turn, name
from schemas.alarm import Alarm, Answer
from schemas.config import LlmConfig
from schemas.rollout import Guardrail, Verdict
from schemas.trigger import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """What would be taken back, and what would be served instead."""

    config: LlmConfig
    target: LlmConfig | None  # None: there is no way back
    rollout_id: str | None = None
    decision_id: str | None = None
    share: int
    guardrails: tuple[Guardrail, ...] = ()


def respond(
    turn: Turn, vigil: Vigil, findings: Sequence[Finding], suspect: Suspect, barred: str | None
) -> tuple[Turn, Vigil, Finding | None]:
    """Answer the findings, the most severe first, until one takes the config back.

    Args:
        turn: The scope at the end of the minute.
        vigil: Over the suspect.
        findings: Triggers that hold.
        suspect: Whom they blame.
        barred: Why nothing may be taken back now, a sentence; or None.

    Returns:
        The turn with an alarm for each finding that is news, the vigil that remembers them, and
        the finding by which the caller takes the config back, or None.
    """
    at = turn.entry.at
    for finding in sorted(findings, key=lambda each: urgency(each.trigger)):
        trigger = finding.trigger
        watch = vigil.watches[trigger.id]
        open_ = vigil.question is not None and vigil.question.trigger == trigger.id
        answer = _answer(trigger, suspect, barred)
        freed = watch.held and answer is not Answer.HELD  # it need not wait any longer
        if (at < watch.quiet_until and not freed) or open_:
            continue
        alarm = _alarm(turn, finding, suspect, answer, barred)
        turn = turn.tell(alarm)
        if answer is Answer.TAKEN_BACK:
            return turn, vigil, finding
        if answer is Answer.SIMULATED:
            said = report(
                turn.become(replace(turn.entry, vigil=vigil)),
                alarm.id,
                f"{sentence(finding, suspect.rollout_id)} {found(answer)}",
                cause_of(finding, at, suspect),
                share=suspect.share,
                sides=(suspect.config, suspect.target),
                subject=vigil.subject,
                simulated=True,
            )
            turn = turn.tell(said)
        if answer is Answer.ASKED:
            vigil = replace(vigil, question=alarm)
        until = at + trigger.quiet_s * 1000
        quiet = replace(watch, quiet_until=until, held=answer is Answer.HELD)
        vigil = replace(vigil, watches={**vigil.watches, trigger.id: quiet})
    return turn, vigil, None


def cause_of(finding: Finding, at: int, suspect: Suspect) -> Cause:
    """Why the suspect is taken back, for the event and its report."""
    return Cause(
        at=at,
        decision_id=suspect.decision_id,
        verdict=Verdict.FAIL,
        guardrails=suspect.guardrails,
        origin="trigger",
        trigger=finding.trigger.id,
        first_bad_at=finding.first_bad_at,
        affected=finding.affected,
    )


def lapse(turn: Turn, vigil: Vigil) -> tuple[Turn, Vigil]:
    """End a question that nobody answered in time."""
    asked = vigil.question
    if asked is None or asked.expires_at is None or turn.entry.at < asked.expires_at:
        return turn, vigil
    return conclude(turn, vigil, Answer.EXPIRED, OPTIMIZER, "Nobody answered in time.")


def settle(turn: Turn, by: str) -> Turn:
    """End the vigil of a config that is gone or settled, and its question with it."""
    vigil = turn.entry.vigil
    if vigil is not None:
        said = "There is nothing to answer any more: what it was about has ended."
        turn, _ = conclude(turn, vigil, Answer.EXPIRED, by, said)
    return turn.become(replace(turn.entry, vigil=None))


def conclude(turn: Turn, vigil: Vigil, answer: Answer, by: str, said: str) -> tuple[Turn, Vigil]:
    """Tell how the question ended, if there is one: its alarm once more, with the answer."""
    if vigil.question is None:
        return turn, vigil
    alarm = replace(vigil.question, at=turn.entry.at, answer=answer, by=by, sentence=said)
    return turn.tell(alarm), replace(vigil, question=None)


def urgency(trigger: Trigger) -> tuple[int, str]:
    """What triggers are sorted by, so that the most severe comes first."""
    order = ("critical", "high", "medium", "low")
    return order.index(trigger.severity), trigger.id


def _answer(trigger: Trigger, suspect: Suspect, barred: str | None) -> Answer:
    if suspect.target is None or barred is not None:
        return Answer.HELD
    if trigger.simulate:
        return Answer.SIMULATED
    return {
        "automatic": Answer.TAKEN_BACK,
        "semi_automatic": Answer.ASKED,
        "manual": Answer.TOLD,
    }[trigger.mode]


def _alarm(
    turn: Turn,
    finding: Finding,
    suspect: Suspect,
    answer: Answer,
    barred: str | None,
) -> Alarm:
    trigger = finding.trigger
    no_way = f"There is no way back: {trigger.target} is no version that was stable here."
    why = no_way if suspect.target is None else barred
    asked = answer is Answer.ASKED
    return Alarm(
        id=name("a", turn.scope, f"{trigger.id}|{turn.entry.at}"),
        scope=turn.scope,
        at=turn.entry.at,
        trigger=trigger.id,
        severity=trigger.severity,
        metric=trigger.metric,
        answer=answer,
        value=finding.value,
        limit=finding.limit,
        baseline=finding.baseline,
        requests=finding.requests,
        rollout_id=suspect.rollout_id,
        version=suspect.config.version,
        target_version=None if suspect.target is None else suspect.target.version,
        expires_at=turn.entry.at + trigger.expires_s * 1000 if asked else None,
        by=OPTIMIZER,
        sentence=f"{sentence(finding, suspect.rollout_id)} {why or found(answer)}",
    )
