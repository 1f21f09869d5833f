"""One window of all keys: what is in it, and which revision of each row was written last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from processors.merge.describe import describe, unpriced, unpriced_by_scope
from processors.summary.combine import combine, pool
from processors.summary.table import Summary, empty, select
from schemas.partial import Key
from schemas.scope import ALL
from schemas.window import WindowAggregate

__all__ = ["Window", "admit", "pooled_key", "written"]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A window's rows, canonical, and the revision of each key and of each pooled key."""

    summary: Summary = field(default_factory=empty)
    revisions: Mapping[Key, int] = field(default_factory=dict)

    def add(self, delta: Summary, length: int, *, whole: bool) -> tuple[Window, frozenset[Key]]:
        """The window with *delta* in it, and the keys that are now to be written.

        Args:
            delta: More rows of this window.
            length: Of the window, ms.
            whole: Whether all keys are to be written, not only those of *delta*.
        """
        summary = combine([self.summary, delta], length) if len(delta) else self.summary
        fresh = frozenset(summary.keys if whole else delta.keys)
        revisions = dict(self.revisions)
        for key in fresh | {pooled_key(key) for key in fresh}:
            revisions[key] = revisions.get(key, 0) + 1
        return Window(summary, revisions), fresh


def pooled_key(key: Key) -> Key:
    """The key of the row that pools *key*'s scope."""
    return (key[0], key[1], ALL, ALL, ALL, ALL)


def written(
    window: Window, fresh: frozenset[Key], length: int, *, watermark: int
) -> Iterator[WindowAggregate]:
    """The rows of the *fresh* keys; after the last one of each scope, its pooled row."""
    summary = window.summary
    scopes = {key[:2] for key in fresh}
    if len(fresh) < len(summary.keys):
        there = np.array([key[:2] in scopes for key in summary.keys])
        summary = select(summary, np.flatnonzero(there[summary.key]))
    usage = unpriced_by_scope(summary)
    pooled = pool(summary, length)
    if len(fresh) < len(summary.keys):
        there = np.array([key in fresh for key in summary.keys])
        summary = select(summary, np.flatnonzero(there[summary.key]))
    rows = describe(
        summary,
        length,
        watermark=watermark,
        revisions=[window.revisions[key] for key in summary.keys],
        usage=unpriced(summary),
    )
    wholes = describe(
        pooled,
        length,
        watermark=watermark,
        revisions=[window.revisions[key] for key in pooled.keys],
        usage=[usage.get(key[:2], ()) for key in pooled.keys],
    )
    at = 0
    for whole in wholes:
        scope = (whole.service, whole.endpoint)
        while at < len(rows) and (rows[at].service, rows[at].endpoint) == scope:
            yield rows[at]
            at += 1
        yield whole


def admit(delta: Summary, held: Sequence[Key], most: int, spilt: Key, length: int) -> Summary:
    """*delta* with at most *most* keys together with the *held* ones; the rest become *spilt*.

    Which new keys are kept depends on their hashes, not on their order, so that keeping the same
    number of a part first changes nothing.
    """
    if len(held) + len(delta.keys) <= most:
        return delta
    known = {*held, spilt}
    fresh = [key for key in delta.keys if key not in known]
    room = max(0, most - len(known) + 1)
    if len(fresh) <= room:
        return delta
    out = set(sorted(fresh, key=lambda key: (crc32(repr(key).encode()), key))[room:])
    return combine([delta.rekey(lambda key: spilt if key in out else key)], length)
