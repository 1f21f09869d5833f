"""The first rule that each row of a table breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.columns import Rejected
from schemas.errors import Reason

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
Numbers = npt.NDArray[Any]


class Verdicts:
    """Which of n rows are rejected, and why; what is found first stays."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._rules: list[tuple[Reason, str]] = []
        self._first: Ints | None = None  # [n], index into the rules, −1 for none

    def reject(self, broken: Bools, reason: Reason, detail: str) -> None:
        """Reject the rows [n] that are *broken* and were not rejected before."""
        if self._first is None:
            self._first = np.full(self._n, -1, np.int64)
        self._first[broken & (self._first < 0)] = len(self._rules)
        self._rules.append((reason, detail))

    def below(self, values: Numbers, least: float, reason: Reason, detail: str) -> None:
        """Reject the rows whose value is below *least*; never NaN."""
        if self._n and values.min() < least:
            self.reject(values < least, reason, detail)

    def above(self, values: Numbers, most: float, reason: Reason, detail: str) -> None:
        """Reject the rows whose value is above *most*; never NaN."""
        if self._n and values.max() > most:
            self.reject(values > most, reason, detail)

    def messages(self, message: Ints) -> tuple[Rejected, ...]:
        """One rejection a message, by its first rejected row.

        Args:
            message: [n], the message of each row, ascending.
        """
        if self._first is None:
            return ()
        rows = np.flatnonzero(self._first >= 0)
        names, at = np.unique(message[rows], return_index=True)
        found = self._first[rows[at]]
        return tuple(
            Rejected(int(name), *self._rules[rule])
            for name, rule in zip(names.tolist(), found.tolist(), strict=True)
        )
