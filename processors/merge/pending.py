"""Partials as they come in: where their source stands, and rows that wait for their minute."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from processors.merge.policy import MergePolicy
from processors.merge.state import MergeMark, MergeState, Source, boundary
from processors.merge.window import Window, admit
from processors.refused import among, noted
from processors.summary.check import check
from processors.summary.combine import combine
from processors.summary.pack import unpacked
from processors.summary.singles import Rows, Singles, picked, summed
from processors.summary.table import COUNT, by_start, empty
from schemas.errors import Undecodable
from schemas.flow import Input, Moment
from schemas.partial import METRICS, Key, Partial
from schemas.topics import PARTIALS
from schemas.window import MINUTE

__all__ = ["absorb", "accepted", "add", "events", "heard", "spill", "split"]

PIECE = 128  # events that take as much room as a piece that has none
QUALITY = [name for name, _ in METRICS].index("quality")


def spill(moment: Moment) -> Key:
    """The key that stands for all keys of this partition beyond the limit."""
    return ("__overflow__", f"merged-{moment.partition}", "", "", "", "")


def events(rows: Rows) -> int:
    """How many events the rows are of: requests, and scores of answers."""
    [summary] = summed([rows])
    return int(summary.counters[:, 0].sum() + summary.moments[:, QUALITY, COUNT].sum())


def heard(mark: MergeMark, partial: Partial) -> MergeMark:
    """The mark once a partial's source has told where it stands.

    The watermark is the least one of the sources that are not idle, the greatest when all are;
    there is none until every source has been heard of.
    """
    stands = Source(partial.watermark, partial.idle, partial.floor)
    sources = dict(mark.sources) | {partial.source: stands}
    mark = replace(
        mark,
        sources=dict(sorted(sources.items())),
        expected=max(mark.expected, partial.sources),
    )
    if len(sources) < mark.expected:
        return mark
    awake = [source.watermark for source in sources.values() if not source.idle]
    known = [each for each in awake if each is not None]
    if len(known) < len(awake):
        return mark
    if not awake:
        told = [s.watermark for s in sources.values() if s.watermark is not None]
        known = [max(told)] if told else []
    reached = min(known, default=None)
    if reached is None or (mark.watermark is not None and reached <= mark.watermark):
        return mark
    return replace(mark, watermark=reached)


def add(
    policy: MergePolicy, state: MergeState, offset: int, rows: Rows, moment: Moment
) -> tuple[MergeState, int]:
    """Let *rows* wait; also, how many events are of windows that are gone.

    These are none while every source keeps to the floor that it told.
    """
    rows, lost = _to_come(state.mark.final, rows)
    return _with(policy, state, [(offset, rows)], moment), lost


def absorb(
    policy: MergePolicy, state: MergeState, inputs: Sequence[Input], moment: Moment
) -> MergeState:
    """Read partials again that were committed before, from the tail on: let their rows wait.

    Rows that were taken into a window since then are in it already. A partial that was refused then
    is left out, whether or not it can be used now; the others are not judged again, but for those
    of which it was not noted yet.

    Raises:
        ValueError: One that was added up then cannot be used now.
    """
    closed = boundary(state.mark.watermark)
    found = []
    refused = among(state.refused, PARTIALS.name, np.array([each.offset for each in inputs]))
    for each, left in zip(inputs, refused.tolist(), strict=True):
        if left:
            continue
        older = state.mark.noted is None or each.offset < state.mark.noted
        if older and not _usable(policy, each.value, moment):
            continue
        if each.value is None:
            raise ValueError(f"the partial at offset {each.offset} was added up and is unreadable")
        rows, _ = _to_come(state.mark.final, unpacked(each.value))
        if closed is not None and each.offset <= state.mark.taken:
            _, kept = split([rows], closed)
            rows = kept[0] if kept else empty()
        found.append((each.offset, rows))
    return _with(policy, state, found, moment)


def _usable(policy: MergePolicy, partial: Partial | None, moment: Moment) -> bool:
    if partial is None:
        return False
    try:
        check(partial, moment.partition, moment.partitions, moment.now, policy.sources)
    except Undecodable:
        return False
    return True


def _to_come(final: int | None, rows: Rows) -> tuple[Rows, int]:
    """The rows of windows that are not gone; also, how many events the others are of."""
    if final is None or not len(rows) or (fits := rows.start >= final).all():
        return rows, 0
    gone = picked(rows, np.flatnonzero(~fits))
    return picked(rows, np.flatnonzero(fits)), events(gone)


def _with(
    policy: MergePolicy, state: MergeState, found: Iterable[tuple[int, Rows]], moment: Moment
) -> MergeState:
    """The state with the rows of partials, by their offsets, among those that wait."""
    firsts, pending = dict(state.firsts), state.pending
    for offset, rows in found:
        if len(rows):
            pending = (*pending, rows)
            if len(pending) % policy.max_pieces == 0:
                pending = _compacted(policy, state.windows, pending, spill(moment))
            for start in _starts(rows):
                firsts.setdefault(start, offset)
    return replace(state, pending=pending, firsts=firsts)


def _starts(rows: Rows) -> list[int]:
    first, last = int(rows.start.min()), int(rows.start.max())
    return [first] if first == last else np.unique(rows.start).tolist()


def accepted(state: MergeState, inputs: Sequence[Input]) -> tuple[MergeState, list[Input]]:
    """The *inputs* that have a value, and the state in which it is noted which have none."""
    told = [each.offset for each in inputs if each.value is None]
    if state.mark.noted is None:
        state = replace(state, mark=replace(state.mark, noted=inputs[0].offset))
    if not (told or state.refused):
        return state, list(inputs)
    tail = state.tail() or {PARTIALS.name: inputs[0].offset}
    refused = noted(state.refused, {PARTIALS.name: np.array(told)} if told else {}, tail)
    return replace(state, refused=refused), [each for each in inputs if each.value is not None]


def split(pieces: Iterable[Rows], end: int) -> tuple[list[Rows], tuple[Rows, ...]]:
    """The rows of minutes that start before *end*, and the others."""
    before, after = list[Rows](), list[Rows]()
    for piece in pieces:
        early = piece.start < end
        if early.any():
            before.append(picked(piece, np.flatnonzero(early)))
        if not early.any():
            after.append(piece)
        elif not early.all():
            after.append(picked(piece, np.flatnonzero(~early)))
    return before, tuple(after)


def _compacted(
    policy: MergePolicy,
    windows: Mapping[tuple[int, int], Window],
    pieces: tuple[Rows, ...],
    spilt: Key,
) -> tuple[Rows, ...]:
    """The same rows in one piece once there are many, with each minute's keys limited.

    Single events wait for each other rather than be sums that are added up again and again, which
    take more room.

    Late rows are limited beside the keys that their window has. These are the same until the rows
    go into it, so that when it is done, which differs after a restart, changes nothing.
    """
    if not _many(policy, pieces):
        return pieces
    whole = combine(summed(pieces))
    if len(whole.keys) > policy.max_live_keys:
        whole = combine(
            [
                admit(rows, _held(windows, start), policy.max_live_keys, spilt, MINUTE)
                for start, rows in by_start(whole).items()
            ]
        )
    return (whole,)


def _many(policy: MergePolicy, pieces: Sequence[Rows]) -> bool:
    waiting = [len(piece) + PIECE for piece in pieces if isinstance(piece, Singles)]
    return len(pieces) - len(waiting) >= policy.max_pieces or sum(waiting) > policy.max_singles


def _held(windows: Mapping[tuple[int, int], Window], start: int) -> Sequence[Key]:
    window = windows.get((MINUTE, start))
    return () if window is None else window.summary.keys
