"""When a window may be forgotten: once no source can bring an event of it any more."""

from __future__ import annotations

from collections.abc import Iterator

from processors.merge.policy import MergePolicy
from processors.merge.state import MergeMark
from schemas.floor import Floor
from schemas.flow import Emit
from schemas.topics import FLOORS
from schemas.window import MINUTE

__all__ = ["ask", "final", "wanted"]


def wanted(policy: MergePolicy, until: int) -> int:
    """The end of the last windows whose grace is over when minutes up to *until* are closed, ms."""
    return (until - policy.grace_ms) // MINUTE * MINUTE


def final(mark: MergeMark, want: int) -> int | None:
    """Up to where windows can be let go: what is wanted, as far as every source keeps to it.

    A source that was silent does not know how far the others have come. What it would still sum
    must find its window, whatever the grace, so a source that has not answered holds them all.
    """
    floors = [mark.sources[s].floor if s in mark.sources else None for s in range(mark.expected)]
    known = [each for each in floors if each is not None]
    if len(known) < len(floors):
        return mark.final
    reached = min([want, *known]) // MINUTE * MINUTE
    return reached if mark.final is None else max(mark.final, reached)


def ask(mark: MergeMark, want: int, task: int) -> Iterator[Emit]:
    """A floor for each source that has not told one as high as is wanted."""
    for source, told in mark.sources.items():
        if told.floor is None or told.floor < want:
            yield Emit(FLOORS.name, None, Floor(task=task, before=want), source)
