"""Add partials up into windows of one minute to seven days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from processors.merge.close import Progress, close, let_go
from processors.merge.floor import ask, final, wanted
from processors.merge.pending import add, heard, split
from processors.merge.policy import MergePolicy
from processors.merge.row import name, rows
from processors.merge.state import MARK, MergeEntry, MergeState, boundary
from processors.summary.combine import combine
from processors.summary.pack import unpack
from schemas.flow import Input, Moment, Outcome

__all__ = ["step"]


def step(
    policy: MergePolicy, state: MergeState, inputs: Sequence[Input], moment: Moment
) -> Outcome[MergeState]:
    """Take in partials one by one; write windows whenever the watermark passes a minute's end.

    For each window the rows that changed are written, by scope, each scope's pooled row last:
    all rows when the window closes, else those that events were added to. The outcome does not
    depend on how partials were divided into batches.

    A window whose grace is over is let go once every source has told a floor at its end. Those that
    have not are asked to, in step with the minutes; until then the window can still be revised.
    """
    progress = Progress(policy, moment, dict(state.windows))
    before = state
    for each in inputs:
        state, lost = add(policy, state, each.offset, unpack(each.value), moment)
        progress.counts["late"] += lost
        state = _moved(progress, state, each)
    if not inputs:
        return Outcome(state, watermark=state.mark.watermark, tail=state.tail())
    progress.counts["partials"] += len(inputs)
    state = replace(state, windows=dict(sorted(progress.windows.items())))
    return Outcome(
        state,
        emits=tuple(progress.emits),
        changes=_changes(before, state, progress),
        counts=progress.counts,
        watermark=state.mark.watermark,
        tail=state.tail(),
    )


def _moved(progress: Progress, state: MergeState, told: Input) -> MergeState:
    """The state with the watermark that a partial brings, and the minutes it closes closed.

    Late rows go into their windows with the next minute that closes, so that a window is not
    written again for each of them; when a source is idle, that minute may be far, and they go now.
    """
    mark = heard(state.mark, told.value)
    since, until = boundary(state.mark.watermark), boundary(mark.watermark)
    if until is None or (until == since and not told.value.idle):
        return replace(state, mark=mark)
    ripe, pending = split(state.pending, until)
    if until == since and not ripe:
        return replace(state, mark=mark)
    close(progress, combine(ripe), since=since, until=until)
    want = wanted(progress.policy, until)
    if any(sum(at) <= want for at in progress.windows):
        mark = replace(mark, final=final(mark, want))
        let_go(progress, mark.final)
    if any(sum(at) <= want for at in progress.windows):
        progress.emits += ask(mark, want, progress.moment.partition)
    return replace(
        state,
        mark=replace(mark, taken=told.offset),
        pending=pending,
        firsts={minute: first for minute, first in state.firsts.items() if minute >= until},
    )


def _changes(
    before: MergeState, after: MergeState, progress: Progress
) -> dict[str, MergeEntry | None]:
    """The changelog's entries: the rows that were written, and those of windows now final."""
    changes: dict[str, MergeEntry | None] = {}
    for at, window in before.windows.items():
        if at not in after.windows:
            changes |= {name(*at, key): None for key in window.summary.keys}
    for at, keys in progress.written.items():
        if at in after.windows:
            for row in rows(*at, after.windows[at], keys):
                changes[name(*at, row.key)] = MergeEntry(row=row)
    if after.mark != before.mark:
        changes[MARK] = MergeEntry(mark=after.mark)
    return changes
