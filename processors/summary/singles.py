"""Events that wait to be summed up: a row each, in columns as narrow as their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from processors.summary.known import ranked
from processors.summary.summarize import summarize
from processors.summary.table import CELL, TYPES, Column, Ints, M, Summary, present, select
from schemas.columns import ABSENT, NO_UNIT, EventColumns
from schemas.partial import FAILED, LIMIT, REQUEST, TIMEOUT, Key
from schemas.window import MINUTE

__all__ = ["Rows", "Singles", "picked", "singles", "summed"]


@dataclass(frozen=True, slots=True, eq=False)
class Singles:
    """n events in the layout of schemas.partial.Partial, as arrays; `start` is in ms.

    But for `failures`, which are event · TYPES + index here. Each key and error type is used.
    """

    keys: tuple[Key, ...]
    error_types: tuple[str, ...]
    key: Column  # [n] index into `keys`
    start: Ints  # [n] of the event's minute
    figures: tuple[Column, ...]  # [n] each: of a metric its value + 1, or 0; then the retries
    flags: Column  # [n]
    failures: Ints  # [e] ascending, one of an event at most
    units: Ints  # [u] ascending, one of an event at most

    def __len__(self) -> int:
        """How many events."""
        return len(self.key)


Rows = Summary | Singles
"""What a partial holds: sums, or events that are still to be summed up."""


def singles(events: EventColumns, chosen: Ints) -> Singles:
    """The events at the *chosen* indices.

    Raises:
        ValueError: a value is not below schemas.partial.LIMIT; the decoder must reject it.
    """
    values = events.values[chosen]
    if (top := int(values.max(initial=0))) >= LIMIT:
        raise ValueError(f"a value is {top}: the decoder must reject what is not below {LIMIT}")
    flags = events.request[chosen] * REQUEST | events.failed[chosen] * FAILED
    flags |= events.timeout[chosen] * TIMEOUT
    used, key = present(events.key[chosen], len(events.keys))
    kind = events.error_type[chosen]
    broken = np.flatnonzero(kind != ABSENT)
    types, kind = present(kind[broken], len(events.error_types))
    unit = events.unit[chosen]
    marked = np.flatnonzero(events.failed[chosen] & (unit != NO_UNIT))
    return Singles(
        keys=tuple(map(events.keys.__getitem__, used.tolist())),
        error_types=tuple(map(events.error_types.__getitem__, types.tolist())),
        key=key,
        start=events.timestamp[chosen] // MINUTE * MINUTE,
        figures=(*(values.T + 1), events.retries[chosen]),
        flags=flags,
        failures=broken * TYPES + kind,
        units=marked * CELL + unit[marked],
    )


def picked(rows: Rows, chosen: Ints) -> Rows:
    """Some rows, by their indices, which ascend, with the names that they use."""
    if isinstance(rows, Summary):
        return select(rows, chosen)
    place = np.full(len(rows), -1)
    place[chosen] = np.arange(len(chosen))
    used, key = present(rows.key[chosen], len(rows.keys))
    failures = _kept(rows.failures, TYPES, place)
    types, kind = present(failures & TYPES - 1, len(rows.error_types))
    return Singles(
        keys=tuple(map(rows.keys.__getitem__, used.tolist())),
        error_types=tuple(map(rows.error_types.__getitem__, types.tolist())),
        key=key,
        start=rows.start[chosen],
        figures=tuple(column[chosen] for column in rows.figures),
        flags=rows.flags[chosen],
        failures=failures - (failures & TYPES - 1) + kind,
        units=_kept(rows.units, CELL, place),
    )


def summed(pieces: Sequence[Rows]) -> list[Summary]:
    """The same as sums: those that there are, and the one of all events that still waited."""
    sums = [piece for piece in pieces if isinstance(piece, Summary)]
    waiting = [piece for piece in pieces if not isinstance(piece, Summary)]
    return [*sums, summarize(_together(waiting))] if waiting else sums


def _kept(codes: Ints, size: int, place: Ints) -> Ints:
    """The codes of the events that have a place, there."""
    event, code = np.divmod(codes, size)
    at = place[event]
    found: Ints = (at * size + code)[at >= 0]
    return found


def _together(pieces: Sequence[Singles]) -> EventColumns:
    """All their events; keys ascend, so that sums are in that order."""
    keys, at = ranked(piece.keys for piece in pieces)
    types, index = ranked(piece.error_types for piece in pieces)
    bounds = np.cumsum([0, *map(len, pieces)])
    n = int(bounds[-1])
    values = np.empty((n, M), dtype=np.int64)
    for metric in range(M):
        values[:, metric] = np.concatenate([piece.figures[metric] for piece in pieces])
    values -= 1
    flags = np.concatenate([piece.flags for piece in pieces])
    error_type, unit = np.full(n, ABSENT), np.full(n, NO_UNIT)
    for begin, piece, kinds in zip(bounds.tolist(), pieces, index, strict=False):
        if len(piece.failures):
            event, kind = np.divmod(piece.failures, TYPES)
            error_type[begin + event] = kinds[kind]
        if len(piece.units):
            event, marked = np.divmod(piece.units, CELL)
            unit[begin + event] = marked
    return EventColumns(
        message=np.arange(n),
        timestamp=np.concatenate([piece.start for piece in pieces]),
        key=np.concatenate([at[piece.key] for at, piece in zip(at, pieces, strict=True)]),
        keys=keys,
        values=values,
        request=flags & REQUEST != 0,
        failed=flags & FAILED != 0,
        timeout=flags & TIMEOUT != 0,
        retries=np.concatenate([piece.figures[M] for piece in pieces]).astype(np.int64),
        error_type=error_type,
        error_types=types,
        unit=unit,
        identity=np.zeros(n, dtype=np.uint64),
    )
