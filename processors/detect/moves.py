"""What the optimizer changes itself is no surprise."""

from __future__ import annotations

from processors.detect.policy import DetectPolicy
from processors.detect.state import Detector
from processors.detect.suppress import Span, expected
from schemas.rollout import SHIFTS, Deployment
from schemas.window import WindowAggregate

KEPT = 16


def move(policy: DetectPolicy, moves: tuple[Span, ...], told: Deployment) -> tuple[Span, ...]:
    """Expect the effect of what *told* says for the time that it takes to settle."""
    if told.phase not in SHIFTS:
        return moves
    new = Span(told.at, told.at + policy.settle_ms, f"rollout {told.id}: {told.phase.value}")
    return moves if new in moves else (*moves, new)[-KEPT:]


def over(policy: DetectPolicy, moves: tuple[Span, ...], start: int) -> tuple[Span, ...]:
    """Those that concern a window from *start* on, or one before that may still be revised."""
    return tuple(each for each in moves if each.end > start - policy.memory_ms)


def moving(detector: Detector, window: WindowAggregate) -> bool:
    """Whether a move of the optimizer's own explains what is unusual in *window*."""
    return expected(window.start, window.end, detector.moves) is not None


def why(policy: DetectPolicy, detector: Detector, window: WindowAggregate) -> str:
    """Why *window* was to be unusual; "" where nothing says so. The newest move counts."""
    newest_first, recurring = detector.moves[::-1], policy.recurring_in(detector.scope)
    return expected(window.start, window.end, newest_first, recurring) or ""
