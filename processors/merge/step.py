"""Add partials up into windows of one minute to seven days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from processors import refused
from processors.merge.close import close, due, let_go
from processors.merge.declared import adopt, changes, end, forget
from processors.merge.floor import ask, final, wanted
from processors.merge.glimpse import glimpse
from processors.merge.pending import accepted, add, heard, split
from processors.merge.policy import MergePolicy
from processors.merge.progress import Progress
from processors.merge.row import name, rows
from processors.merge.state import MARK, Declared, MergeEntry, MergeState, boundary
from processors.summary.combine import combine
from processors.summary.pack import unpacked
from processors.summary.singles import summed
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

    A partial that was refused comes as an input without a value: that it was is remembered as long
    as it may be read again.
    """
    if not inputs:
        return Outcome(state, watermark=state.mark.watermark, tail=state.tail())
    before = state
    state, inputs = accepted(state, inputs)
    if policy.windows or state.mark.declared:
        state = adopt(policy, state)
    progress = Progress(
        policy,
        moment,
        dict(state.windows),
        state.mark.declared,
        dict(state.declared.panes),
        dict(state.declared.hopping),
        dict(state.declared.sessions),
    )
    end(progress, before)
    for each in inputs:
        state = replace(state, windows=progress.windows)  # those closed meanwhile among them
        state, lost = add(policy, state, each.offset, unpacked(each.value), moment)
        progress.counts["late"] += lost
        state = _moved(progress, state, each)
    progress.counts["partials"] += len(inputs)
    state = replace(state, windows=dict(sorted(progress.windows.items())))
    if progress.since:
        declared = Declared(
            panes=dict(sorted(progress.panes.items())),
            hopping=dict(sorted(progress.hopping.items())),
            sessions=progress.sessions,
        )
        state = replace(state, declared=declared)
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
        glimpse(progress, state.pending, state.mark.watermark, mark.watermark)
        return replace(state, mark=mark)
    ripe, pending = split(state.pending, until)
    if until == since and not ripe:
        glimpse(progress, state.pending, state.mark.watermark, mark.watermark)
        return replace(state, mark=mark)
    close(progress, combine(summed(ripe)), since=since, until=until)
    want = wanted(progress.policy, until)
    if due(progress, want):
        mark = replace(mark, final=final(mark, want))
        let_go(progress, mark.final, until)
    if progress.since:
        forget(progress, mark.final, until)
    if due(progress, want):
        progress.emits += ask(mark, want, progress.moment.partition)
    glimpse(progress, pending, state.mark.watermark, mark.watermark)
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
    found: dict[str, MergeEntry | None] = {}
    panes = after.declared.panes
    for at, window in (*before.windows.items(), *before.declared.panes.items()):
        if at not in after.windows and at not in panes:
            found |= {name(*at, key): None for key in window.summary.keys}
    for (length, start), keys in progress.written.items():
        if isinstance(length, int):
            at = (length, start)
            window_ = after.windows.get(at) or panes.get(at)
            if window_ is not None:
                for row in rows(*at, window_, keys):
                    found[name(*at, row.key)] = MergeEntry(row=row)
    if progress.since or before.mark.declared:
        for key, kept in changes(before.declared, after.declared, progress.written).items():
            found[key] = None if kept is None else MergeEntry(row=kept)
    found |= _refused(before, after)
    if after.mark != before.mark:
        found[MARK] = MergeEntry(mark=after.mark)
    return found


def _refused(before: MergeState, after: MergeState) -> dict[str, MergeEntry | None]:
    return {
        block: None if bits is None else MergeEntry(refused=bits)
        for block, bits in refused.changes(before.refused, after.refused).items()
    }
