"""How long `merge` keeps what, and how much of it."""

from __future__ import annotations

from dataclasses import dataclass

from processors.summary.check import SOURCES
from schemas.span import Span, problem

__all__ = ["MergePolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MergePolicy:
    """Settings of `merge`.

    Raises:
        ValueError: a setting is out of range.
    """

    grace_ms: int = 600_000  # how long a window can be revised after its end
    max_live_keys: int = 100_000  # distinct keys of one window; the rest share one
    max_pieces: int = 32  # summaries of open minutes that may wait before they are added up
    max_singles: int = 262_144  # events that may wait before they are added up, 36 bytes each
    sources: int = SOURCES  # partitions of `collect`, at most
    windows: tuple[Span, ...] = ()  # those that are declared beside the ones of fixed lengths

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.grace_ms < 0:
            raise ValueError(f"grace_ms is {self.grace_ms}: set it to 0 or more")
        for name in ("max_live_keys", "max_pieces", "max_singles"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: set it to 1 or more")
        for each in self.windows:
            if (wrong := problem(each)) is not None:
                raise ValueError(f"windows, {each.id}, {wrong[0]}: {wrong[1]}")
        if len({each.name for each in self.windows}) < len(self.windows):
            raise ValueError("windows has some of them twice: keep each once")
