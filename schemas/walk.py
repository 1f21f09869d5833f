"""Where Avro data end, found for many at once without reading their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from schemas.columns import Ints

LONGEST = 10  # bytes of a number of 64 bits, 7 bits each
ENTRIES = 64  # of a map; more are left to others
BLOCKS = 2  # of a map; more are left to others


class Walk:
    """One step of n cursors through the same schema after another.

    A cursor that meets what cannot be is `lost`. One that is not lost at the end, and stands
    where its datum ends, has a datum of the right structure; whether its text is UTF-8 is not
    looked at.
    """

    def __init__(self, values: Sequence[bytes], skip: int) -> None:
        """Begin *skip* bytes behind the start of each value."""
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        self._data = np.frombuffer(b"".join(values) + b"\0", np.uint8)
        self._end = np.cumsum(sizes)
        self._at = self._end - sizes + skip
        self._lost = self._at > self._end

    def through(self, fields: Sequence[Any]) -> npt.NDArray[np.bool_]:
        """Which data [n] consist of exactly these fields of a record."""
        rows = np.arange(len(self._at))
        for field in fields:
            self._over(field["type"], rows)
        arrived: npt.NDArray[np.bool_] = ~self._lost & (self._at == self._end)
        return arrived

    def _over(self, kind: Any, rows: Ints) -> None:  # an Avro type
        if isinstance(kind, list):
            branch = self._number(rows)
            self._lose(rows[(branch != 0) & (branch != 1)])
            self._over(kind[1], rows[branch == 1])
        elif kind == "long":
            self._number(rows)
        elif kind == "double":
            self._at[rows] += 8
        elif kind == "string":
            size = self._number(rows)
            room = self._end[rows] - self._at[rows]
            fits = (size >= 0) & (size <= room)
            self._lose(rows[~fits])
            self._at[rows] += np.where(fits, size, 0)
        else:
            self._map(kind["values"], rows)

    def _map(self, kind: Any, rows: Ints) -> None:  # an Avro type
        for _ in range(BLOCKS):
            count = self._number(rows)
            self._lose(rows[(count < 0) | (count > ENTRIES)])
            rows, count = rows[count > 0], count[count > 0]
            for i in range(min(int(count.max(initial=0)), ENTRIES)):
                more = rows[(count > i) & ~self._lost[rows]]
                self._over("string", more)
                self._over(kind, more)
        self._lose(rows)  # it never closed

    def _number(self, rows: Ints) -> Ints:
        """The zigzag numbers at the cursors; 0 where there is none."""
        value = np.zeros(len(rows), np.uint64)
        open_ = np.arange(len(rows))
        for i in range(LONGEST):
            at = self._at[rows[open_]]
            byte = self._data[np.minimum(at, len(self._data) - 1)]
            value[open_] |= (byte & np.uint8(127)).astype(np.uint64) << np.uint64(7 * i)
            self._at[rows[open_]] += 1
            if i == LONGEST - 1:
                self._lose(rows[open_[byte > 1]])
            open_ = open_[byte > 127]
            if not len(open_):
                break
        self._lose(rows[open_])  # a number that does not end, or holds more than 64 bits
        past = self._at[rows] > self._end[rows]
        self._lose(rows[past])
        value[past] = 0
        return (value >> np.uint64(1)).view(np.int64) ^ -(value & np.uint64(1)).view(np.int64)

    def _lose(self, rows: Ints) -> None:
        self._lost[rows] = True
        self._at[rows] = np.minimum(self._at[rows], self._end[rows])
