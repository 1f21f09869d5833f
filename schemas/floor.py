"""What the windows ask of those who fill them: the event time before which nothing changes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """A task of `merge` asks a source to sum no event before `before` any more.

    The windows that end by then are let go once every source has said that it does so.
    """

    task: int  # of merge, that asks
    before: int  # ms, event time, a whole minute
