"""Time goes on: minutes close, late rows revise, and both roll up into longer windows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from processors.merge.declared import due as declared_due
from processors.merge.declared import elapse, is_pane, turn
from processors.merge.pending import events, spill
from processors.merge.progress import At, Progress
from processors.merge.window import Window, admit, written
from processors.summary.combine import combine
from processors.summary.table import Summary, by_start, empty, select
from schemas.window import MINUTE, SIZES

__all__ = ["close", "due", "let_go"]

LENGTHS = tuple(SIZES.values())  # each a multiple of the one before


def close(progress: Progress, rows: Summary, *, since: int | None, until: int) -> None:
    """Close, in the order of their ends, all windows that end after *since* and by *until*.

    Rows are written as of the minute that closes, however far the watermark has leapt.

    Args:
        progress: The windows; what is written is added to it.
        rows: Canonical, all rows of minutes that end by *until* and are not in a window yet.
        since: The boundary before: minutes up to it are closed, so that their rows are late.
        until: The boundary now.
    """
    again = since == until
    minutes = by_start(rows)
    late = {start: minutes[start] for start in minutes if since is not None and start < since}
    coming = {start + MINUTE: minutes[start] for start in minutes if start not in late}
    while True:
        opened = [sum(at) for at in progress.windows if since is None or sum(at) > since]
        end = min((end for end in (*coming, *opened) if end <= until), default=None)
        if progress.since and since is not None:
            elapse(progress, since, end or (until if late else until + 1))
        if end is None:
            break
        if end in coming:
            late[end - MINUTE] = coming.pop(end)
        _turn(progress, late, end)
        late, since = {}, end
    if late:
        _turn(progress, late, until, again=again)


def due(progress: Progress, want: int) -> bool:
    """Whether there are windows that end by *want*."""
    return any(sum(at) <= want for at in progress.windows) or (
        bool(progress.since) and declared_due(progress, want)
    )


def let_go(progress: Progress, final: int | None, until: int) -> None:
    """Forget the windows that end by *final*, except what others after *until* are made of."""
    if final is not None:
        for at in [at for at in progress.windows if sum(at) <= final]:
            window = progress.windows.pop(at)
            if is_pane(progress, at, until):
                progress.panes[at] = window


def _turn(
    progress: Progress, deltas: Mapping[int, Summary], now: int, *, again: bool = False
) -> None:
    """Put minutes' rows into their windows as of *now*, and what is closed into longer ones.

    The whole of a window goes into the longer one when it closes, afterwards what is new of it:
    *again* says that windows which end *now* have closed before.
    """
    minutes: dict[int, Summary] = {}
    for length, longer in zip(LENGTHS, (*LENGTHS[1:], None), strict=True):
        ending = (
            {now - length} if (length, now - length) in progress.windows and not again else set()
        )
        up = []
        for start in sorted(ending | deltas.keys()):
            at = (length, start)
            known = at in progress.windows
            closes = (sum(at) < now and not known) or (sum(at) == now and not (again and known))
            delta = _put(progress, at, deltas.get(start, empty()), now, whole=closes)
            if length == MINUTE:
                minutes[start] = delta
            if sum(at) <= now:
                up.append(progress.windows[at].summary if closes else delta)
        deltas = by_start(combine(up, longer)) if longer else {}
    turn(progress, minutes, now, again=again)


def _put(progress: Progress, at: At, delta: Summary, now: int, *, whole: bool) -> Summary:
    """Add *delta* to a window and write what changed, or the *whole* of it; return what came in."""
    length, _ = at
    window = progress.windows.get(at, Window())
    spilt = spill(progress.moment)
    most = progress.policy.max_live_keys
    delta = admit(delta, window.summary.keys, most, spilt, length)
    window, fresh = window.add(delta, length, whole=whole)
    progress.windows[at] = window
    progress.wrote(at, fresh)
    if length == MINUTE and spilt in delta.keys:
        over = delta.key == delta.keys.index(spilt)
        progress.counts["overflowed"] += events(select(delta, np.flatnonzero(over)))
    progress.emit(written(window, fresh, length, watermark=now))
    return delta
