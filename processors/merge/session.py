"""Sessions: runs of a scope's active minutes, which late minutes lengthen and join."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from processors.merge.window import Window, pooled_key
from processors.summary.combine import combine
from processors.summary.table import Summary, empty, select
from schemas.partial import Key
from schemas.span import Session

__all__ = ["Extent", "Gone", "Part", "Row", "Scope", "Sessions", "join", "let_go", "parts"]

Scope = tuple[str, str]  # service, endpoint
Extent = tuple[int, int]  # the first and the last active minute, ms
Row = tuple[int, Key]  # a session's start, ms; one of its keys


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """The sessions of one declaration that can still change.

    Minutes are only ever added, so that sessions grow and join but never part: their sums are all
    that there is to remember of them.
    """

    summary: Summary = field(default_factory=empty)  # canonical, by session's start and key
    revisions: Mapping[Row, int] = field(default_factory=dict)  # pooled rows, too
    extents: Mapping[Scope, tuple[Extent, ...]] = field(default_factory=dict)  # ascending


@dataclass(frozen=True, slots=True)
class Gone:
    """A session that is now part of an earlier one."""

    start: int
    end: int
    revisions: Mapping[Key, int]  # those under which nothing is to be left


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """At most one session of each scope, as if they were one window."""

    window: Window
    keys: frozenset[Key]  # the rows that were asked for
    extents: Mapping[Scope, Extent]


def join(
    sessions: Sessions, span: Session, minutes: Mapping[int, Summary], now: int, *, again: bool
) -> tuple[Sessions, set[Row], list[Gone]]:
    """The sessions with more minutes in them, as of *now*.

    Args:
        sessions: As they were.
        span: What they are.
        minutes: Their rows by start, each of one minute.
        now: A boundary of minutes.
        again: Whether sessions that end *now* have been over before.

    Returns:
        The sessions; the rows to be written, with which each session that has just ended is
        complete; and those sessions that are no longer any.
    """
    extents = dict(sessions.extents)
    touched = set[Scope]()
    for minute in sorted(minutes):
        for scope in {key[:2] for key in minutes[minute].keys}:
            extents[scope] = _insert(span, extents.get(scope, ()), minute)
            touched.add(scope)
    moved = {
        (scope, start): _home(extents, scope, start)
        for scope in touched
        for start, _ in sessions.extents.get(scope, ())
        if _home(extents, scope, start) != start
    }
    base, fresh = _moved(sessions.summary, moved)
    deltas = []
    for minute, rows in minutes.items():
        home = [_home(extents, key[:2], minute) for key in rows.keys]
        fresh.update(zip(home, rows.keys, strict=True))
        deltas.append(replace(rows, start=np.array(home, dtype=np.int64)[rows.key]))
    summary = combine([base, *deltas], 1) if deltas else base
    ended = _ended(sessions, span, extents, touched, now, again=again)
    if ended:
        fresh |= {row for row in _rows(summary) if (row[1][:2], row[0]) in ended}
    gone = _gone(sessions, span, moved)
    revisions = dict(sessions.revisions)
    for each in gone:
        for key in each.revisions:
            del revisions[each.start, key]
    for row in fresh | {(start, pooled_key(key)) for start, key in fresh}:
        revisions[row] = revisions.get(row, 0) + 1
    return Sessions(summary, revisions, extents), fresh, gone


def let_go(sessions: Sessions, span: Session, final: int) -> Sessions:
    """The sessions that end after *final*."""
    extents = {
        scope: kept
        for scope, known in sessions.extents.items()
        if (kept := tuple(each for each in known if span.end(*each) > final))
    }
    live = {(scope, start) for scope, kept in extents.items() for start, _ in kept}
    if len(live) == sum(map(len, sessions.extents.values())):
        return sessions
    chosen = [(key[:2], start) in live for start, key in _rows(sessions.summary)]
    revisions = {
        (start, key): revision
        for (start, key), revision in sessions.revisions.items()
        if (key[:2], start) in live
    }
    return Sessions(select(sessions.summary, np.flatnonzero(chosen)), revisions, extents)


def parts(sessions: Sessions, rows: Collection[Row]) -> Iterator[Part]:
    """The sessions of *rows*, whole, in as few parts as there are of one scope."""
    summary = sessions.summary
    starts: dict[Scope, set[int]] = {}
    for start, key in rows:
        starts.setdefault(key[:2], set()).add(start)
    asked = {scope: sorted(each) for scope, each in starts.items()}
    for i in range(max(map(len, asked.values()), default=0)):
        here = {scope: each[i] for scope, each in asked.items() if i < len(each)}
        wanted = np.array([here.get(key[:2], -1) for key in summary.keys], dtype=np.int64)
        chosen = np.flatnonzero(summary.start == wanted[summary.key])
        found = select(summary, chosen[np.argsort(summary.key[chosen])])
        revisions = {
            each: sessions.revisions[here[key[:2]], each]
            for key in found.keys
            for each in (key, pooled_key(key))
        }
        yield Part(
            Window(replace(found, start=np.zeros_like(found.start)), revisions),
            frozenset(key for start, key in rows if here.get(key[:2]) == start),
            {
                scope: next(each for each in sessions.extents[scope] if each[0] == start)
                for scope, start in here.items()
            },
        )


def _insert(span: Session, known: Iterable[Extent], minute: int) -> tuple[Extent, ...]:
    found: list[Extent] = []
    for start, last in sorted((*known, (minute, minute))):
        if found and start < span.end(*found[-1]):
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((start, last))
    return tuple(found)


def _home(extents: Mapping[Scope, tuple[Extent, ...]], scope: Scope, minute: int) -> int:
    """The start of the session that *minute* is in."""
    return next(start for start, last in extents[scope] if start <= minute <= last)


def _rows(summary: Summary) -> Iterator[Row]:
    """Whose each row is."""
    names = (summary.keys[k] for k in summary.key.tolist())
    return zip(summary.start.tolist(), names, strict=True)


def _moved(summary: Summary, moved: Mapping[tuple[Scope, int], int]) -> tuple[Summary, set[Row]]:
    """The rows with the starts of the sessions that they are in now; those with another one."""
    if not moved:
        return summary, set()
    now = [moved.get((key[:2], start), start) for start, key in _rows(summary)]
    fresh = {
        (after, key)
        for after, (start, key) in zip(now, _rows(summary), strict=True)
        if after != start
    }
    return replace(summary, start=np.array(now, dtype=np.int64)), fresh


def _ended(
    before: Sessions,
    span: Session,
    extents: Mapping[Scope, tuple[Extent, ...]],
    touched: Collection[Scope],
    now: int,
    *,
    again: bool,
) -> set[tuple[Scope, int]]:
    """The sessions that have ended *now*, or that were or are over with another end than before."""
    ended = set[tuple[Scope, int]]()
    for scope, known in extents.items():
        for each in known:
            if span.end(*each) == now and not again:
                ended.add((scope, each[0]))
    for scope in touched:
        was = {start: span.end(start, last) for start, last in before.extents.get(scope, ())}
        for start, last in extents[scope]:
            end, old = span.end(start, last), was.get(start)
            if old is not None and old != end and min(old, end) <= now:
                ended.add((scope, start))
    return ended


def _gone(sessions: Sessions, span: Session, moved: Mapping[tuple[Scope, int], int]) -> list[Gone]:
    found: dict[tuple[Scope, int], dict[Key, int]] = {at: {} for at in sorted(moved)}
    if found:
        for (start, key), revision in sessions.revisions.items():
            if (key[:2], start) in found:
                found[key[:2], start][key] = revision
    ends = {
        (scope, start): span.end(start, last)
        for scope, start in found
        for first, last in sessions.extents[scope]
        if first == start
    }
    return [Gone(at[1], ends[at], dict(sorted(keys.items()))) for at, keys in found.items()]
