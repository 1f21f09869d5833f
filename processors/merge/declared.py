"""Windows that the catalog declares, beside those of fixed lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from processors.merge.hopping import add_up, needed, next_end
from processors.merge.pending import spill
from processors.merge.policy import MergePolicy
from processors.merge.progress import At, Progress
from processors.merge.row import WindowRow, name, rows
from processors.merge.session import Gone, Part, Row, Sessions, join, let_go, parts
from processors.merge.state import Declared, MergeState, boundary
from processors.merge.window import admit, pooled_key, written
from processors.summary.table import Summary
from schemas.partial import Key
from schemas.span import Hopping, Session, called
from schemas.window import MINUTE, WindowAggregate

__all__ = ["adopt", "changes", "due", "elapse", "end", "forget", "framed", "is_pane", "turn"]


def adopt(policy: MergePolicy, state: MergeState) -> MergeState:
    """The state with the windows of *policy* declared: new ones begin where minutes are open.

    What is not declared any more is forgotten; `end` closes its open windows.
    """
    known, names = state.mark.declared, sorted(each.name for each in policy.windows)
    if names == sorted(known):
        return state
    now = boundary(state.mark.watermark) or 0
    since = {each: known.get(each, now) for each in names}
    return replace(
        state,
        mark=replace(state.mark, declared=since),
        declared=Declared(
            panes={
                at: pane
                for at, pane in state.declared.panes.items()
                if _is_pane(policy, since, at, now)
            },
            hopping={at: w for at, w in state.declared.hopping.items() if at[0] in since},
            sessions={n: each for n, each in state.declared.sessions.items() if n in since},
        ),
    )


def end(progress: Progress, state: MergeState) -> None:
    """Close the open sessions of *state* that are not declared any more, with what is in them."""
    now = boundary(state.mark.watermark) or 0
    gone = sorted(state.declared.sessions.keys() - progress.since.keys())
    for span in [each for each in map(called, gone) if isinstance(each, Session)]:
        sessions = state.declared.sessions[span.name]
        lasts = {(s, start): last for s, known in sessions.extents.items() for start, last in known}
        open_ = {
            (start, key): revision + 1
            for (start, key), revision in sessions.revisions.items()
            if span.end(start, lasts[key[:2], start]) > now
        }
        rows = {(start, key) for start, key in open_ if key != pooled_key(key)}
        for part in parts(replace(sessions, revisions=open_), rows):
            progress.emit(replace(row, closed=True) for row in _framed(span, part, now))
        progress.counts["windows"] += len(rows)
        progress.counts["undeclared"] += len({(start, key[:2]) for start, key in rows})


def turn(progress: Progress, minutes: Mapping[int, Summary], now: int, *, again: bool) -> None:
    """Put minutes' rows into declared windows as of *now*, and write those that changed or ended.

    Args:
        progress: With the minutes in the windows of fixed lengths already.
        minutes: What is new, by the minute's start.
        now: A boundary of minutes.
        again: Whether windows that end *now* have closed before.
    """
    for span in progress.policy.windows:
        since = progress.since[span.name]
        new = {at: part for at, part in minutes.items() if at >= since and len(part)}
        if isinstance(span, Session):
            _sessions(progress, span, new, now, again=again)
            continue
        for start, keys in add_up(progress, span, new, now, again=again):
            at = (span.name, start)
            progress.wrote(at, keys)
            progress.emit(
                framed(row, *at, start + span.size)
                for row in written(progress.hopping[at], keys, MINUTE, watermark=now)
            )


def elapse(progress: Progress, since: int, until: int) -> None:
    """End, in their order, the declared windows that end after *since* and before *until*."""
    while True:
        end = min((end for end in _ends(progress, since) if end < until), default=None)
        if end is None:
            return
        turn(progress, {}, end, again=False)
        since = end


def due(progress: Progress, want: int) -> bool:
    """Whether there are declared windows that end by *want*."""
    sizes = {each.name: each.size for each in progress.policy.windows if isinstance(each, Hopping)}
    return any(start + sizes[each] <= want for each, start in progress.hopping) or any(
        end <= want
        for span in progress.policy.windows
        if isinstance(span, Session)
        for end in _session_ends(progress, span)
    )


def forget(progress: Progress, final: int | None, until: int) -> None:
    """Let go of the windows that end by *final*, and of what no window after *until* is made of."""
    for span in progress.policy.windows:
        if final is None:
            break
        if isinstance(span, Hopping):
            over = [at for at in progress.hopping if at[0] == span.name]
            for window in [at for at in over if at[1] + span.size <= final]:
                del progress.hopping[window]
        elif span.name in progress.sessions:
            kept = let_go(progress.sessions.pop(span.name), span, final)
            progress.sessions |= {span.name: kept} if kept.extents else {}
    for at in [at for at in progress.panes if not is_pane(progress, at, until)]:
        del progress.panes[at]


def is_pane(progress: Progress, at: At, until: int) -> bool:
    """Whether windows that end after *until* are made of this one."""
    return _is_pane(progress.policy, progress.since, at, until)


def changes(
    before: Declared, after: Declared, kept: Mapping[tuple[int | str, int], set[Key]]
) -> dict[str, WindowRow | None]:
    """The changelog's rows of declared windows, by name: those to keep now, and None for others."""
    found: dict[str, WindowRow | None] = {}
    for at, window in before.hopping.items():
        if at not in after.hopping:
            found |= {name(*at, key): None for key in window.summary.keys}
    for at, window in after.hopping.items():
        if at in kept:
            for row in rows(0, at[1], window, kept[at]):
                found[name(*at, row.key)] = row
    for each, sessions in before.sessions.items():
        now = after.sessions.get(each, Sessions())
        for start, key in sorted(sessions.revisions.keys() - now.revisions.keys()):
            if key != pooled_key(key):
                found[name(each, start, key)] = None
    for each, sessions in after.sessions.items():
        wanted = {(at[1], key) for at, keys in kept.items() if at[0] == each for key in keys}
        found |= _rows(each, sessions, wanted & sessions.revisions.keys())
    return found


def framed(row: WindowAggregate, window: str, start: int, end: int) -> WindowAggregate:
    """The row as one of declared windows."""
    return replace(row, window=window, start=start, end=end, closed=end <= row.watermark)


def _is_pane(policy: MergePolicy, since: Mapping[str, int], at: At, until: int) -> bool:
    return any(
        needed(span, since[span.name], at, until)
        for span in policy.windows
        if isinstance(span, Hopping)
    )


def _ends(progress: Progress, after: int) -> Iterator[int]:
    """When declared windows end after *after*, the first one of each kind among them."""
    for span in progress.policy.windows:
        if isinstance(span, Hopping):
            end = next_end(progress, span, after)
            yield from () if end is None else (end,)
        else:
            yield from (end for end in _session_ends(progress, span) if end > after)


def _session_ends(progress: Progress, span: Session) -> Iterator[int]:
    known = progress.sessions.get(span.name, Sessions()).extents
    return (span.end(*extent) for each in known.values() for extent in each)


def _sessions(
    progress: Progress, span: Session, minutes: Mapping[int, Summary], now: int, *, again: bool
) -> None:
    known = progress.sessions.get(span.name, Sessions())
    most, spilt = progress.policy.max_live_keys, spill(progress.moment)
    held, new = set(known.summary.keys), dict[int, Summary]()
    for minute in sorted(minutes):
        new[minute] = admit(minutes[minute], tuple(held), most, spilt, MINUTE)
        held.update(new[minute].keys)
    sessions, fresh, gone = join(known, span, new, now, again=again)
    if not fresh:
        return
    progress.sessions[span.name] = sessions
    for each in gone:
        progress.emit(_void(span.name, each, now))
        progress.counts["windows"] += sum(key != pooled_key(key) for key in each.revisions)
    for part in parts(sessions, fresh):
        for key in part.keys:
            progress.wrote((span.name, part.extents[key[:2]][0]), (key,))
        progress.emit(_framed(span, part, now))


def _framed(span: Session, part: Part, now: int) -> Iterator[WindowAggregate]:
    for row in written(part.window, part.keys, MINUTE, watermark=now):
        start, last = part.extents[row.service, row.endpoint]
        yield framed(row, span.name, start, span.end(start, last))


def _void(window: str, gone: Gone, now: int) -> Iterator[WindowAggregate]:
    """What says that there is no such session any more."""
    for key in sorted(gone.revisions, key=lambda key: (key == pooled_key(key), key)):
        service, endpoint, model, provider, version, cohort = key
        yield WindowAggregate(
            service=service,
            endpoint=endpoint,
            model=model,
            provider=provider,
            config_version=version,
            cohort=cohort,
            window=window,
            start=gone.start,
            end=gone.end,
            revision=gone.revisions[key] + 1,
            closed=gone.end <= now,
            watermark=now,
            requests=0,
            success=0,
            errors=0,
            timeouts=0,
            retries=0,
        )


def _rows(window: str, sessions: Sessions, wanted: set[Row]) -> Iterator[tuple[str, WindowRow]]:
    for part in parts(sessions, wanted):
        for row in rows(0, 0, part.window, part.keys):
            start, last = part.extents[row.key[:2]]
            yield (
                name(window, start, row.key),
                replace(row, start=start, length=last + MINUTE - start),
            )
