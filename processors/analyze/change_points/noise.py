"""How noisy is a series that may change its level at any time?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

NEIGHBOURS = 3  # on each side
LEAST = 1e-9  # of the variance of a standardized series: rounding is no noise


class Noise(NamedTuple):
    """Noise as if it were AR(1)."""

    variance: float  # of the innovations' part of a difference: half of Var(x_t − x_{t−1})
    correlation: float  # φ, from one point to the next

    @property
    def long_run(self) -> float:
        """The variance of a mean of n points, times n: σ²(1 + φ)/(1 − φ), with σ² = v/(1 − φ).

        >>> Noise(1.0, 0.0).long_run, Noise(1.0, 0.5).long_run
        (1.0, 6.0)
        """
        return self.variance * (1.0 + self.correlation) / (1.0 - self.correlation) ** 2


def noise(values: Floats, most: float, known: Sequence[int] = ()) -> Noise:
    """The noise of *values* by their differences, in which a change of level is one number.

    With v_k = Var(x_t − x_{t−k})/2, AR(1) has v_1 = σ²(1 − φ) and v_2 = σ²(1 − φ²), so that
    φ = v_2/v_1 − 1, whatever the level and the slope. The one largest step is left out, which may
    be a change, and those that are known to be. Everything else counts, so that a series of many
    small jumps is noisy.

    Args:
        values: [n], at least 4.
        most: φ is taken for no more: beyond it slow noise and a trend cannot be told apart.
        known: The first points after changes.
    """
    one, two = np.diff(values), values[2:] - values[:-2]
    largest = int(np.argmax(np.abs(one - np.median(one))))
    at = np.unique([largest, *(each - 1 for each in known)])
    across = np.unique(np.concatenate((at - 1, at)))  # steps of two that cross one of them
    across = across[(across >= 0) & (across < two.size)]
    first = float(np.var(np.delete(one, at))) / 2.0
    second = float(np.var(np.delete(two, across))) / 2.0
    if first <= LEAST:
        return Noise(LEAST, most)
    return Noise(first, min(max(second / first - 1.0, 0.0), most))


def without_spikes(values: Floats, limit: float) -> Floats:
    """*values* with lone points replaced by the median of the seven about them.

    Lone are those further from that median than *limit* root mean squares of all such distances, a
    bound that many small departures raise and a spike hardly does (Hampel, JASA 1974, has a median
    in its place, which is zero where most points repeat the one before).

    Args:
        values: [n].
        limit: In root mean squares.
    """
    padded = np.pad(values, NEIGHBOURS, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1)
    middle = np.median(windows, axis=1)
    away = values - middle
    bound = limit * math.sqrt(float(np.mean(away**2)))
    kept: Floats = np.where(np.abs(away) > bound, middle, values)
    return kept
