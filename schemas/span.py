"""Windows that people declare: their names say all that there is to know of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from schemas.catalog import WindowPolicy
from schemas.window import MINUTE, SIZES

__all__ = ["ID", "PIECES", "Hopping", "Session", "Span", "called", "pane", "problem", "span"]

ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
NAME = re.compile(rf"({ID.pattern}):(hopping|session):(\d{{1,6}}[mhd]):(\d{{1,6}}[mhd])")
UNITS = {"d": 1_440 * MINUTE, "h": 60 * MINUTE, "m": MINUTE}
LONGEST = max(SIZES.values())
PIECES = 300  # panes of which a hopping window may be the sum


@dataclass(frozen=True, slots=True)
class Hopping:
    """Windows of `size` ms, of which one begins at each multiple of `hop` ms since the epoch.

    >>> Hopping("recent", 15 * MINUTE, 5 * MINUTE).name
    'recent:hopping:15m:5m'
    """

    id: str
    size: int
    hop: int

    @property
    def name(self) -> str:
        """What the windows are called on the topics."""
        return f"{self.id}:hopping:{_text(self.size)}:{_text(self.hop)}"

    def fits(self, start: int, end: int) -> bool:
        """Whether there is a window [start, end)."""
        return start % self.hop == 0 and end == start + self.size


@dataclass(frozen=True, slots=True)
class Session:
    """Runs of minutes with activity of a scope, one at most `gap` ms after the one before.

    So a session ends where `gap` whole minutes in a row are silent. None crosses a multiple of
    `longest` ms since the epoch: there it is cut, wherever it began.

    >>> Session("visits", 10 * MINUTE, 240 * MINUTE).name
    'visits:session:10m:4h'
    """

    id: str
    gap: int
    longest: int

    @property
    def name(self) -> str:
        """What the windows are called on the topics."""
        return f"{self.id}:session:{_text(self.gap)}:{_text(self.longest)}"

    def end(self, start: int, last: int) -> int:
        """When a session is over of which the minutes from *start* to *last* are known, ms.

        A later minute belongs to it exactly if it starts before.
        """
        return min(last + MINUTE + self.gap, (start // self.longest + 1) * self.longest)

    def fits(self, start: int, end: int) -> bool:
        """Whether there can be a window [start, end)."""
        least, most = self.end(start, start), (start // self.longest + 1) * self.longest
        return start % MINUTE == 0 and end % MINUTE == 0 and least <= end <= most


Span = Hopping | Session


def span(policy: WindowPolicy) -> Span:
    """What a policy of the catalog, of which nothing is a `problem`, declares."""
    if policy.kind == "hopping":
        return Hopping(policy.id, 1_000 * (policy.size_s or 0), 1_000 * (policy.hop_s or 0))
    return Session(policy.id, 1_000 * (policy.gap_s or 0), 1_000 * (policy.longest_s or 0))


@lru_cache(maxsize=1_024)
def called(name: str) -> Span | None:
    """What the windows of that name are; None when nobody can have declared them."""
    match = NAME.fullmatch(name)
    if match is None:
        return None
    kind = Hopping if match[2] == "hopping" else Session
    found = kind(match[1], _ms(match[3]), _ms(match[4]))
    return found if found.name == name and problem(found) is None else None


def pane(hop: int) -> int:
    """The length of the longest windows of `schemas.window.SIZES` that *hop* is a multiple of."""
    return max(length for length in SIZES.values() if hop % length == 0)


def problem(found: Span) -> tuple[str, str] | None:
    """What cannot be of a declaration: the field, and what to change; None when all can."""
    if ID.fullmatch(found.id) is None or found.id in SIZES:
        said = f"{found.id!r} is no name for windows"
        return "id", f"{said}; write up to 40 of a-z, 0-9, _, . and -, and not a length like 5m"
    if isinstance(found, Hopping):
        return _minutes("size", found.size) or _minutes("hop", found.hop) or _divides(found)
    if found.longest < found.gap:
        said = f"{_text(found.longest)} is shorter than the gap of {_text(found.gap)}"
        return "longest", f"{said}; make it longer"
    return _minutes("gap", found.gap) or _minutes("longest", found.longest)


def _minutes(field: str, ms: int) -> tuple[str, str] | None:
    if ms < MINUTE or ms % MINUTE:
        return field, f"{ms / 1_000:g} s is no number of whole minutes; write one, like 5m"
    if ms > LONGEST:
        return field, f"{_text(ms)} is longer than {_text(LONGEST)}; make it shorter"
    return None


def _divides(found: Hopping) -> tuple[str, str] | None:
    if found.size % found.hop:
        said = f"{_text(found.size)} is no multiple of the hop of {_text(found.hop)}"
        return "size", f"{said}; write one, like {_text((found.size // found.hop + 1) * found.hop)}"
    of = pane(found.hop)
    if found.size // of > PIECES:
        said = f"a window would be the sum of {found.size // of:,} panes of {_text(of)}"
        return "hop", f"{said}, more than {PIECES}; make it longer, or size shorter"
    return None


def _text(ms: int) -> str:
    unit, length = next((each for each in UNITS.items() if ms % each[1] == 0), ("m", MINUTE))
    return f"{ms // length}{unit}"


def _ms(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]
