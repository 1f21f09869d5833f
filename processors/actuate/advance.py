"""Up the ladder by evidence alone, or by a person's word; down at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from processors.actuate.judge import Judgement
from processors.actuate.rollout import (
    OVER,
    Advance,
    Rollout,
    percent,
    promote,
    roll_back,
    unanswered,
    verify,
)
from processors.actuate.wait import hold_ms, out_of_time, wait
from processors.actuate.wording import named
from schemas.catalog import Strategy
from schemas.rollout import Guardrail, Phase, Verdict
from schemas.scope import BUCKETS


def advance(strategy: Strategy, rollout: Rollout, judgement: Judgement, at: int) -> Advance:
    """Move by one look: down at once on FAIL, up when dwelt and judged, else hold and say so.

    The next share asks for enough samples without harm (`sampled`); the promotion, and what goes
    before everybody is served, for every required guardrail to pass (`ready`) and the criteria to
    be met. A paused rollout is judged too, and rolled back, but never climbs. One that lacks
    evidence for `max_wait_s` after its dwell does what `when_waiting` says. A ladder that ends
    below 100 % stays on its last rung until a person ends it.

    Args:
        strategy: The ladder, as the catalog has it now; of the rollout's kind.
        rollout: A rollout that takes traffic.
        judgement: Of all evidence so far.
        at: ms of event time, the end of the newest minute.

    Returns:
        The rollout one look later.
    """
    if judgement.verdict is Verdict.FAIL:
        failed = [g for g in judgement.guardrails if g.verdict is Verdict.FAIL]
        names = " and ".join(g.metric for g in failed)
        return roll_back(
            rollout, " ".join((f"Worse in {names}:", *(g.sentence for g in failed))), at
        )
    held = rollout.phase is Phase.PAUSED or at - rollout.entered_at < hold_ms(strategy, rollout)
    after = Advance(rollout) if held else _up(strategy, rollout, judgement, at)
    if after.rollout.phase in OVER or after.rollout.step != rollout.step:
        return after
    return unanswered(rollout, at) or out_of_time(strategy, rollout, at) or after


def climb(strategy: Strategy, rollout: Rollout, at: int) -> Advance:
    """Enter the next rung; one of 100 % is the promotion, unless stable is to be kept meanwhile."""
    steps = len(strategy.steps)
    rung = strategy.steps[min(rollout.step, steps - 1)]
    number = min(rollout.step, steps - 1) + 1
    share = round(rung.share * BUCKETS)
    if share >= BUCKETS and rollout.kind != "blue_green":
        return promote(
            replace(rollout, steps=steps),
            f"Passed every step of {strategy.name} before the last."
            if rollout.step
            else f"{strategy.name} has a single step of 100 %.",
        )
    entered = replace(
        rollout,
        phase=Phase.RAMPING,
        step=number,
        steps=steps,
        share=0 if rung.shadow else share,
        shadow=share if rung.shadow else 0,
        started_at=rollout.started_at if rollout.step else at,
        entered_at=at,
        waiting_since=None,
        overdue=False,
        extended=0,
        asks_until=None,
    )
    said = f"The candidate serves {percent(share)}"
    if rung.shadow:
        said = f"The candidate gets copies of {percent(share)}, and serves nobody"
    elif share >= BUCKETS:
        said = f"The candidate serves everybody, and the stable config is kept for {rung.hold_s} s"
    return Advance(entered, f"{said}, step {number} of {steps} of {strategy.name}.")


def onward(strategy: Strategy, rollout: Rollout, at: int) -> Advance | None:
    """What follows this rung when all is well; None when that is a person's to say.

    The last rung of a blue-green rollout is followed by its promotion, that of a shadow by its end.
    """
    if rollout.step < len(strategy.steps):
        return climb(strategy, rollout, at)
    if rollout.kind == "shadow":
        return verify(rollout, "Passed in shadow: the candidate served nobody, stable stays.")
    if rollout.kind == "blue_green":
        return promote(rollout, f"Nothing was wrong at 100 %: {strategy.name} is over.")
    return None


def unmet(strategy: Strategy, guardrails: Iterable[Guardrail]) -> tuple[str, ...]:
    """The criteria of the strategy that the candidate does not keep, in sentences.

    They are bounds for people's expectations, held against what was measured; that chance is not
    taken for it is the guardrails' part. What is not known is not kept.
    """
    known = {each.metric: each.candidate_value for each in guardrails}
    found: list[str] = []
    for name, metric, sign in (
        ("max_error_rate", "errors", 1),
        ("max_p95_latency_ms", "latency", 1),
        ("min_quality", "quality", -1),
    ):
        limit: float | None = getattr(strategy, name)
        value = known.get(metric)
        if limit is not None and (value is None or sign * value > sign * limit):
            seen = "unknown" if value is None else f"{value:g}"
            found.append(f"{name} is {limit:g}, and the candidate's is {seen}.")
    return tuple(found)


def _up(strategy: Strategy, rollout: Rollout, judgement: Judgement, at: int) -> Advance:
    """Look at a rollout whose dwell is over, and that nothing speaks against."""
    if rollout.kind == "ab":
        return _compare(strategy, rollout, judgement)
    above = strategy.steps[rollout.step : rollout.step + 1]
    if above and above[0].share < 1.0:
        if judgement.sampled:
            after = climb(strategy, rollout, at)
            return replace(after, reason=f"{after.reason} {_enough(strategy, judgement)}")
        if judgement.doubt:
            return wait(strategy, rollout, judgement, at, enough=False)
        lacks = "too few samples could be compared yet"
        return wait(strategy, rollout, judgement, at, enough=False, lacks=lacks)
    questions = unmet(strategy, judgement.guardrails)
    if not judgement.ready or questions:
        return wait(strategy, rollout, judgement, at, enough=False, unmet=questions)
    return onward(strategy, rollout, at) or wait(strategy, rollout, judgement, at, enough=True)


def _enough(strategy: Strategy, judgement: Judgement) -> str:
    """Why a larger share may be served, a sentence."""
    open_ = [g.metric for g in judgement.guardrails if g.verdict is not Verdict.PASS]
    open_ = [metric for metric in open_ if metric in strategy.required]
    if not open_:
        return "Every required guardrail passes."
    return (
        f"No guardrail fails, and {strategy.min_samples} samples of each required one were "
        f"compared: enough to go on. To be promoted, it must also pass in {named(open_)}."
    )


def _compare(strategy: Strategy, rollout: Rollout, judgement: Judgement) -> Advance:
    """Look at an A/B test: it ends well when the candidate is better.

    The candidate wins when every required guardrail passes and one of them shows it to be better:
    the upper bound of its harm, which holds at every look, is below zero.
    """
    better = [
        each.metric
        for each in judgement.guardrails
        if each.metric in strategy.required and (each.upper_harm or 0.0) < 0.0
    ]
    if judgement.ready and better and not unmet(strategy, judgement.guardrails):
        return promote(rollout, f"Won: better in {' and '.join(better)}, worse in nothing.")
    return Advance(rollout)
