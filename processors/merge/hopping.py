"""Hopping windows: sums of panes, which are the windows of fixed lengths that there are already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from processors.merge.pending import spill
from processors.merge.progress import At, Progress
from processors.merge.window import Window, admit
from processors.summary.combine import combine
from processors.summary.table import Summary
from schemas.partial import Key
from schemas.span import Hopping, pane
from schemas.window import SIZES

__all__ = ["add_up", "needed", "next_end"]


def add_up(
    progress: Progress, span: Hopping, minutes: Mapping[int, Summary], now: int, *, again: bool
) -> Iterator[tuple[int, frozenset[Key]]]:
    """Make the window that ends *now* of its panes, and add what is late to those before it.

    Args:
        progress: The panes, up to *now*; its hopping windows are changed.
        span: What the windows are.
        minutes: What is new, by the minute's start.
        now: A boundary of minutes.
        again: Whether the window that ends *now* has been made before.

    Yields:
        Start and keys of each window to be written.
    """
    size, hop = span.size, span.hop
    since, made = _up(progress.since[span.name], hop), now if again else now - 1
    deltas: dict[int, list[Summary]] = {}
    for minute, rows in minutes.items():
        first = max(since, _up(minute - size + 1, hop))
        for start in range(first, min(minute, made - size) + 1, hop):
            deltas.setdefault(start, []).append(rows)
    if not again and now % hop == 0 and now - size >= since:
        found = [each.summary for each in _panes(progress, span, now - size, now)]
        if found:
            deltas[now - size] = found
    for start, parts in sorted(deltas.items()):
        window = progress.hopping.get((span.name, start), Window())
        rows = combine([_from(part, start) for part in parts], 1)
        most, spilt = progress.policy.max_live_keys, spill(progress.moment)
        rows = admit(rows, window.summary.keys, most, spilt, 1)
        window, fresh = window.add(rows, 1, whole=False)
        progress.hopping[span.name, start] = window
        yield start, fresh


def next_end(progress: Progress, span: Hopping, after: int) -> int | None:
    """The end of the first window after *after* in which there is anything."""
    size, hop, of = span.size, span.hop, pane(span.hop)
    least = max(_up(after + 1, hop), _up(progress.since[span.name], hop) + size)
    found = list[int]()
    for length, start in (*progress.panes, *progress.windows):
        if length == of:
            end = max(least, _up(start + 1, hop))
            if end <= start // hop * hop + size:
                found.append(end)
    return min(found, default=None)


def needed(span: Hopping, since: int, at: At, until: int) -> bool:
    """Whether a window that ends after *until* may be summed of the pane *at*."""
    length, start = at
    return (
        length <= span.size
        and length % pane(span.hop) == 0
        and start >= since
        and start // span.hop * span.hop + span.size > until
    )


def _panes(progress: Progress, span: Hopping, start: int, end: int) -> Iterator[Window]:
    """Of what [start, end) is the sum: as long as possible, each without another one."""
    of = pane(span.hop)
    lengths = [each for each in reversed(SIZES.values()) if each <= span.size and each % of == 0]
    while start < end:
        length = next(each for each in lengths if start % each == 0 and start + each <= end)
        found = progress.windows.get((length, start), progress.panes.get((length, start)))
        if found is not None:
            yield found
        start += length


def _up(ms: int, hop: int) -> int:
    """The first multiple of *hop* from *ms* on."""
    return -(-ms // hop) * hop


def _from(rows: Summary, start: int) -> Summary:
    return replace(rows, start=np.full_like(rows.start, start))
