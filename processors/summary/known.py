"""Numbers of names, which come again and again; looked up in C where it was built."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import numpy as np

import native
from processors.summary.table import Ints
from schemas.partial import Key

__all__ = ["Known", "Numbers", "looked_up", "ranked"]

N = TypeVar("N", str, Key)

MOST = 1 << 17  # keys of which a number is kept


class Known(dict[Key, int]):
    """A number of each key, computed when it is first asked for."""

    def __init__(self, of: Callable[[Key], int]) -> None:
        super().__init__()
        self._of = of

    def __missing__(self, key: Key) -> int:
        """Compute and keep it, after the rest is let go where there are too many."""
        if len(self) >= MOST:
            self.clear()
        self[key] = number = self._of(key)
        return number


class Numbers(dict[N, int]):
    """The place of each name in the order in which they were asked for."""

    def __missing__(self, name: N) -> int:
        """The next one."""
        self[name] = number = len(self)
        return number


def looked_up(known: dict[N, int], names: Sequence[N]) -> Ints:
    """The number of each of the *names*, [n].

    Raises:
        Whatever *known* raises for a name that it cannot have.
    """
    if native.core is None:
        return np.array(list(map(known.__getitem__, names)), dtype=np.int64)
    found = np.empty(len(names), dtype=np.int64)
    native.core.looked_up(known, tuple(names), found)
    return found


def ranked(parts: Iterable[Sequence[N]]) -> tuple[tuple[N, ...], list[Ints]]:
    """All names of the *parts*, ascending, and of each part where its names are among them."""
    numbers = Numbers[N]()
    found = [looked_up(numbers, names) for names in parts]
    names = tuple(sorted(numbers))
    ranks = np.empty(len(names), dtype=np.int64)
    ranks[looked_up(numbers, names)] = np.arange(len(names))
    return names, [ranks[each] for each in found]
