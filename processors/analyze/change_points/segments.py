"""What is left of a series when a line is fitted to a part of it, for every part at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Lines:
    """Running sums of d series, from which the fit of any part follows.

    Series are [d, n], each about its mean and divided by the noise's deviation, so that what a
    line leaves of white noise is worth its number of points.
    """

    sums: Floats  # [d, n + 1], Σx
    squares: Floats  # Σx², of all series together [n + 1]
    moments: Floats  # [d, n + 1], Σtx

    @classmethod
    def of(cls, series: Floats) -> Lines:
        """Sum *series* [d, n] up."""
        at = np.arange(series.shape[1], dtype=np.float64)
        return cls(_summed(series), _summed((series**2).sum(axis=0)), _summed(series * at))

    def left(self, begins: Ints, ends: Ints | int) -> Floats:
        """Squares that lines leave of the parts from *begins* up to, without, *ends*.

        Args:
            begins: Of any shape.
            ends: Of one that goes with it; above the begins, else what is said of them is nothing.
        """
        ends = np.atleast_1d(ends)
        n = np.maximum(ends - begins, 1).astype(np.float64)
        middle = (begins + (ends - 1)) / 2.0
        total = self.sums[:, ends] - self.sums[:, begins]
        moment = self.moments[:, ends] - self.moments[:, begins] - middle * total
        width = n * (n * n - 1.0) / 12.0  # Σ(t − t̄)²
        explained = (total**2).sum(axis=0) / n
        explained += (moment**2).sum(axis=0) / np.where(width > 0.0, width, np.inf)
        left: Floats = np.maximum(self.squares[ends] - self.squares[begins] - explained, 0.0)
        return left


def line(values: Floats) -> tuple[float, float]:
    """The line through *values* [n]: where it begins, and its slope for each point.

    >>> line(np.array([1.0, 3.0, 5.0]))
    (1.0, 2.0)
    """
    n = values.size
    at = np.arange(n) - (n - 1) / 2.0
    slope = float(at @ values / (at @ at)) if n > 1 else 0.0
    return float(values.mean()) - slope * (n - 1) / 2.0, slope


def _summed(x: Floats) -> Floats:
    """Running sums along the last axis, beginning with 0."""
    begin = np.zeros((*x.shape[:-1], 1))
    sums: Floats = np.concatenate((begin, np.cumsum(x, axis=-1)), axis=-1)
    return sums
