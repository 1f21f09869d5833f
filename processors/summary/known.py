"""Numbers of keys, which come again and again."""

from __future__ import annotations

from collections.abc import Callable

from schemas.partial import Key

__all__ = ["Known"]

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
