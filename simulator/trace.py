"""When requests come and how long they are: a real trace, replayed at any rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
MINUTE = 60_000
EXCERPT = Path(__file__).with_name("azure_code_excerpt.csv")


@dataclass(frozen=True, slots=True)
class Trace:
    """n requests in the order of their coming, to be repeated every `length` ms."""

    offset: Ints  # [n] ms since the beginning, ascending
    context: Ints  # [n] tokens in
    generated: Ints  # [n] tokens out
    length: int  # ms

    @property
    def rate(self) -> float:
        """Requests per minute, on average."""
        return len(self.offset) * MINUTE / self.length

    def within(self, begin: int, end: int, shift: int) -> tuple[Ints, Ints]:
        """The requests of [begin, end) when the trace runs in a loop that began at −*shift*.

        Args:
            begin: ms.
            end: ms, at most one length after *begin*.
            shift: ms.

        Returns:
            Times (ms, ascending) and rows of the trace.
        """
        first = (begin + shift) % self.length
        last = first + (end - begin)
        i, j = np.searchsorted(self.offset, (first, last))
        rows = np.arange(i, j)
        times = self.offset[i:j] - first
        if last > self.length:
            k = int(np.searchsorted(self.offset, last - self.length))
            rows = np.concatenate((rows, np.arange(k)))
            times = np.concatenate((times, self.offset[:k] + (self.length - first)))
        return times + begin, rows

    def arrivals(
        self, rate: float, begin: int, end: int, rng: np.random.Generator, phase: int = 0
    ) -> tuple[Ints, Ints]:
        """The requests of [begin, end) at *rate* per minute.

        Enough copies of the trace, shifted against each other, are laid over one another, and the
        surplus is left out at random: bursts stay bursts.

        Args:
            rate: Requests per minute, on average over the trace's length.
            begin: ms.
            end: ms.
            rng: Decides what is left out.
            phase: ms, where in the trace the first copy begins.

        Returns:
            Times (ms, ascending) and rows of the trace.
        """
        copies = max(1, int(np.ceil(rate / self.rate - 1e-9)))
        # The golden section keeps any number of copies apart from each other.
        shifts = [phase + int(i * 0.6180339887 * self.length) for i in range(copies)]
        parts = [self.within(begin, end, shift % self.length) for shift in shifts]
        times = np.concatenate([times for times, _ in parts])
        rows = np.concatenate([rows for _, rows in parts])
        kept = rng.random(len(times)) < rate / (copies * self.rate)
        times, rows = times[kept], rows[kept]
        order = np.argsort(times, kind="stable")
        return times[order], rows[order]


@cache
def azure() -> Trace:
    """The excerpt of the Azure LLM inference trace 2023 (code) beside this file."""
    table = np.loadtxt(EXCERPT, delimiter=",", skiprows=1, dtype=np.int64)
    offset = table[:, 0]
    # The gap from the last request to the first of the next round is a typical one.
    length = int(offset[-1]) + int(offset[-1] / (len(offset) - 1))
    return Trace(offset, table[:, 1], table[:, 2], length)
