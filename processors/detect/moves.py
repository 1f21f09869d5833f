"""What the optimizer changes itself is no surprise."""

from __future__ import annotations

from processors.detect.policy import DetectPolicy
from processors.detect.state import Detector, Move
from processors.detect.suppress import Span, expected
from schemas.rollout import Deployment, Phase
from schemas.window import WindowAggregate

MOVES = {Phase.RAMPING, Phase.PROMOTED, Phase.ROLLED_BACK}  # another share serves from then on
KEPT = 16


def move(policy: DetectPolicy, moves: tuple[Move, ...], told: Deployment) -> tuple[Move, ...]:
    """Expect the effect of what *told* says for the time that it takes to settle."""
    if told.phase not in MOVES:
        return moves
    new = Move(told.at, told.at + policy.settle_ms, f"rollout {told.id}: {told.phase.value}")
    return moves if new in moves else (*moves, new)[-KEPT:]


def over(policy: DetectPolicy, moves: tuple[Move, ...], start: int) -> tuple[Move, ...]:
    """Those that concern a window from *start* on, or one before that may still be revised."""
    return tuple(each for each in moves if each.end > start - policy.memory_ms)


def moving(detector: Detector, window: WindowAggregate) -> bool:
    """Whether a move of the optimizer's own explains what is unusual in *window*."""
    return any(each.start < window.end and window.start < each.end for each in detector.moves)


def why(policy: DetectPolicy, detector: Detector, window: WindowAggregate) -> str:
    """Why *window* was to be unusual; "" where nothing says so. The newest move counts."""
    spans = [Span(*each) for each in reversed(detector.moves)]
    return expected(window.start, window.end, spans, policy.recurring_in(detector.scope)) or ""
