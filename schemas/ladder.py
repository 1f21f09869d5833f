"""What a strategy may say: a ladder that can be climbed, and an end that can be reached."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from schemas.catalog import Step, Strategy
from schemas.rollout import GUARDRAILS
from schemas.scope import BUCKETS
from schemas.shape import hint, refuse


def climbable(where: str, strategy: Strategy) -> None:
    """Raise when *strategy* could never do what its kind says.

    Args:
        where: The key of the entry, for the sentence.
        strategy: Its numbers are within their bounds.

    Raises:
        InvalidCatalog: with a sentence that names the entry, the field and what to change.
    """
    if not strategy.steps:
        raise refuse(f"{where}, steps", "there is none; add at least {share: 100%}")
    copies = [step for step in strategy.steps if step.shadow]
    serving = list(strategy.steps[len(copies) :])
    if any(step.shadow for step in serving):
        raise refuse(
            f"{where}, steps",
            "a shadow step comes after one that serves; put the steps with shadow: true first",
        )
    _rising(where, copies)
    _rising(where, serving)
    if copies and copies[-1].share >= 1:
        raise refuse(
            f"{where}, steps",
            "a shadow of 100 % leaves nobody to compare with; copy 50% or less",
        )
    _KINDS[strategy.kind](where, copies, serving)
    _duration(where, strategy)
    if strategy.approval_expires_s <= 0:
        raise refuse(
            f"{where}, approval_expires",
            "nobody could answer in time; write a duration above 0, like 24h",
        )
    _required(f"{where}, required", strategy.required)


def _rising(where: str, steps: Sequence[Step]) -> None:
    shares = [step.share for step in steps]
    buckets = [round(share * BUCKETS) for share in shares]
    if any(later <= earlier for earlier, later in pairwise(buckets)):
        raise refuse(
            f"{where}, steps",
            f"the shares {shares} do not rise by 0.01 % or more; order them upwards",
        )


def _ladder(where: str, copies: Sequence[Step], serving: Sequence[Step]) -> None:
    """Canary and rolling: up to 100 %."""
    del copies
    if not serving or serving[-1].share != 1:
        last = f"{serving[-1].share:g}" if serving else "a shadow"
        raise refuse(f"{where}, steps", f"the last share is {last}; end the ladder at 100%")


def _immediate(where: str, copies: Sequence[Step], serving: Sequence[Step]) -> None:
    if copies or len(serving) != 1 or serving[0].share != 1:
        raise refuse(f"{where}, steps", "immediate has one step; write only {share: 100%, hold: 0}")


def _blue_green(where: str, copies: Sequence[Step], serving: Sequence[Step]) -> None:
    checks, last = [*copies, *serving[:-1]], serving[-1:]
    if len(checks) != 1 or not last or last[0].share != 1:
        raise refuse(
            f"{where}, steps",
            "blue_green has two steps; write a check, like {share: 5%, hold: 10m} or with "
            "shadow: true, and {share: 100%, hold: 30m}",
        )
    if last[0].hold_s == 0:
        raise refuse(
            f"{where}, steps",
            "the stable config would be kept for no time; give the last step a hold, like 30m",
        )


def _ab(where: str, copies: Sequence[Step], serving: Sequence[Step]) -> None:
    if copies or len(serving) != 1 or serving[0].share >= 1:
        raise refuse(
            f"{where}, steps",
            "ab has one step below 100 %; write only {share: 50%, hold: 1h}",
        )


def _shadow(where: str, copies: Sequence[Step], serving: Sequence[Step]) -> None:
    if serving or not copies:
        raise refuse(
            f"{where}, steps",
            "a shadow never serves; give each step shadow: true, or write kind: canary",
        )


_KINDS: Mapping[str, Callable[[str, Sequence[Step], Sequence[Step]], None]] = {
    "immediate": _immediate,
    "canary": _ladder,
    "blue_green": _blue_green,
    "rolling": _ladder,
    "ab": _ab,
    "shadow": _shadow,
}


def _duration(where: str, strategy: Strategy) -> None:
    longest, held = strategy.max_duration_s, sum(step.hold_s for step in strategy.steps)
    if longest is None and strategy.kind == "ab":
        raise refuse(
            f"{where}, max_duration",
            "an ab needs it, for without a winner it would never end; add it, like 7d",
        )
    if longest is not None and longest <= held:
        raise refuse(
            f"{where}, max_duration",
            f"{longest} s is over before the steps have been held for {held} s; make it longer",
        )


def _required(where: str, names: tuple[str, ...]) -> None:
    if not names:
        known = ", ".join(GUARDRAILS)
        raise refuse(where, f"the list is empty, so nothing would be judged; name some of {known}")
    for name in names:
        if name not in GUARDRAILS:
            raise refuse(where, f"{name!r} is no guardrail; {hint(name, GUARDRAILS)}")
