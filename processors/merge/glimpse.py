"""Show how far an open minute has come, in scopes where a candidate is being tried."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from processors.merge.pending import spill
from processors.merge.progress import Progress
from processors.merge.window import Window, admit, pooled_key, written
from processors.summary.combine import combine
from processors.summary.singles import Rows, picked, summed
from schemas.window import MINUTE

__all__ = ["glimpse"]

EVERY = 10_000  # ms of event time
CANDIDATE = "candidate"  # the cohort


def glimpse(
    progress: Progress, pending: Sequence[Rows], before: int | None, now: int | None
) -> None:
    """Write the open minute's rows of the scopes with a candidate, when another EVERY is over.

    They are open rows of revision 0, which the minute's first closed ones replace; nothing is
    remembered of them. Scopes without a candidate, and minutes that have just begun, have none.

    Args:
        progress: What is written is added to it.
        pending: The rows that wait for their minutes.
        before: The watermark until now, ms; None when there was none.
        now: The watermark from now on.
    """
    if now is None or (before is not None and before // EVERY == now // EVERY):
        return
    start = now // MINUTE * MINUTE
    if now - start < EVERY:
        return
    tried = {key[:2] for piece in pending for key in piece.keys if key[5] == CANDIDATE}
    if not tried:
        return
    keys = {key for piece in pending for key in piece.keys}
    # Which keys the limit leaves is a matter of all that the minute has.
    most = progress.policy.max_live_keys
    scopes = tried if len(keys) <= most else {key[:2] for key in keys}
    summary = combine(summed([_of(piece, scopes, start) for piece in pending]))
    summary = admit(summary, (), most, spill(progress.moment), MINUTE)
    served = {key[:2] for key in summary.keys if key[5] == CANDIDATE}
    fresh = frozenset(key for key in summary.keys if key[:2] in served)
    if fresh:
        revisions = dict.fromkeys((*fresh, *(pooled_key(key) for key in fresh)), 0)
        progress.emit(written(Window(summary, revisions), fresh, MINUTE, watermark=now))
        progress.counts["glimpses"] += len(fresh)


def _of(piece: Rows, scopes: set[tuple[str, str]], start: int) -> Rows:
    """The rows of *scopes* in the minute that begins at *start*."""
    there = np.array([key[:2] in scopes for key in piece.keys], dtype=bool)
    return picked(piece, np.flatnonzero(there[piece.key] & (piece.start == start)))
