"""What a rollback was, told when it is over: from the evidence that the scope remembers."""

from __future__ import annotations

from processors.actuate.triggers.vigil import Vigil
from processors.actuate.turn import OPTIMIZER, Cause, Turn
from processors.actuate.version import model_key
from schemas.config import LlmConfig
from schemas.report import RollbackReport
from schemas.rollout import Verdict


def report(
    turn: Turn,
    id_: str,
    reason: str,
    cause: Cause,
    *,
    share: int,
    sides: tuple[LlmConfig | None, LlmConfig | None],
    subject: str | None,
    simulated: bool = False,
) -> RollbackReport:
    """The report of one rollback.

    Args:
        turn: The scope after it, with its vigil still there; of a simulated one, as it is.
        id_: Of the deployment.
        reason: The sentence.
        cause: When, by whom, on what evidence.
        share: That was served until then, hundredths of a percent.
        sides: What was taken back, and what serves again.
        subject: Of the vigil over what was taken back; one over anything else is not counted.
        simulated: Nothing was done.
    """
    left, restored = sides
    vigil = turn.entry.vigil
    if vigil is not None and vigil.subject != subject:
        vigil = None
    first, affected = _first_bad(vigil, cause)
    return RollbackReport(
        id=id_,
        scope=turn.scope,
        at=cause.at,
        revision=turn.entry.revision,
        by=cause.by,
        cause=_kind(cause),
        trigger=cause.trigger,
        reason=reason,
        verdict=cause.verdict,
        guardrails=cause.guardrails,
        share=share,
        left_version=None if left is None else left.version,
        left_model=None if left is None else model_key(left),
        restored_version=None if restored is None else restored.version,
        restored_model=None if restored is None else model_key(restored),
        requests=0 if vigil is None else vigil.requests,
        failed=0 if vigil is None else vigil.failed,
        affected=affected,
        first_bad_at=first,
        seconds=None if first is None else (cause.at - first) / 1000,
        written_at=turn.moment.now,
        simulated=simulated,
        decision_id=cause.decision_id,
        counted_since=None if vigil is None else vigil.since,
    )


def _kind(cause: Cause) -> str:
    """What took it back."""
    if cause.origin:
        return cause.origin
    if cause.by != OPTIMIZER:
        return "command"
    return "wait" if overstayed(cause) else "guardrail"


def overstayed(cause: Cause) -> bool:
    """Whether what ended it is that it took too long: nobody's word, and nothing found worse."""
    return not cause.origin and cause.by == OPTIMIZER and cause.verdict is not Verdict.FAIL


def _first_bad(vigil: Vigil | None, cause: Cause) -> tuple[int | None, int]:
    """Where the evidence that decided begins, and the requests since then."""
    if cause.first_bad_at is not None:
        return cause.first_bad_at, cause.affected
    failing = [each.metric for each in cause.guardrails if each.verdict is Verdict.FAIL]
    if vigil is None or _kind(cause) != "guardrail":
        return None, 0
    lows = [vigil.lows[metric] for metric in failing if metric in vigil.lows]
    low = min(lows, key=lambda each: each.at, default=None)
    return (None, 0) if low is None else (low.at, vigil.requests - low.requests)
