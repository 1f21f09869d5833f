"""What a step has made of the windows so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from processors.merge.policy import MergePolicy
from processors.merge.session import Sessions
from processors.merge.window import Window
from schemas.flow import Emit, Moment
from schemas.partial import Key
from schemas.topics import AGGREGATES
from schemas.window import WindowAggregate

__all__ = ["At", "Progress"]

At = tuple[int, int]  # length, start; their sum is the window's end


@dataclass(slots=True, eq=False)
class Progress:
    """The windows, changed in place while a step runs, and what it has written of them.

    `since`, `panes`, `hopping` and `sessions` are of declared windows, as in `MergeState`.
    """

    policy: MergePolicy
    moment: Moment
    windows: dict[At, Window]
    since: Mapping[str, int] = field(default_factory=dict)
    panes: dict[At, Window] = field(default_factory=dict)
    hopping: dict[tuple[str, int], Window] = field(default_factory=dict)
    sessions: dict[str, Sessions] = field(default_factory=dict)
    written: dict[tuple[int | str, int], set[Key]] = field(default_factory=dict)
    emits: list[Emit] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def emit(self, rows: Iterable[WindowAggregate]) -> None:
        """Write *rows*, each by its scope."""
        self.emits += [Emit(AGGREGATES.name, r.scope, r, self.moment.partition) for r in rows]

    def wrote(self, at: tuple[int | str, int], keys: Iterable[Key]) -> None:
        """Note that the rows of *keys* of a window are to be kept as they are now."""
        keys = set(keys)
        self.written.setdefault(at, set()).update(keys)
        self.counts["windows"] += len(keys)
