"""How noisy is a series that may change its level at any time?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processors.analyze.change_points.segments import line
from processors.analyze.season import autocorrelation

Floats = npt.NDArray[np.float64]

NEIGHBOURS = 3  # on each side
LEAST = 1e-9  # of the variance of a standardized series: rounding is no noise
SLOWEST = 0.95  # φ of what lines leave is taken for no more


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
    variance, correlation = noises(values[None], most, known)
    return Noise(float(variance[0]), float(correlation[0]))


def noises(values: Floats, most: float, known: Sequence[int] = ()) -> tuple[Floats, Floats]:
    """The variances [r] and correlations [r] that `noise` finds of several series [r, n]."""
    one, two = np.diff(values, axis=1), values[:, 2:] - values[:, :-2]
    rows = np.arange(len(values))
    largest = np.argmax(np.abs(one - np.median(one, axis=1, keepdims=True)), axis=1)
    counted = np.ones(one.shape, dtype=np.bool_)
    counted[rows, largest] = False
    counted[:, [each - 1 for each in known]] = False
    first = _variance(one, counted) / 2.0
    second = _variance(two, counted[:, :-1] & counted[:, 1:]) / 2.0  # no step that crosses one
    quiet = first <= LEAST
    ratio = second / np.where(quiet, 1.0, first)
    correlation = np.where(quiet, most, np.minimum(np.maximum(ratio - 1.0, 0.0), most))
    return np.maximum(first, LEAST), correlation


def _variance(values: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    """Of those of *values* [r, n] that are counted: [r]."""
    n = counted.sum(axis=1, keepdims=True)
    away = values - (values * counted).sum(axis=1, keepdims=True) / n
    found: Floats = ((away * counted) ** 2).sum(axis=1) / n[:, 0]
    return found


class Left(NamedTuple):
    """What lines leave of a series."""

    long_run: float  # variance, see `Noise.long_run`
    freedom: float  # degrees of it, as of a mean square; at least 1


def left(values: Floats, ends: Sequence[int]) -> Left:
    r"""The long-run variance of *values* about a line in each segment, and how well it is known.

    φ is the first correlation of what the k lines leave, corrected for its bias of −k(2 + 4φ)/n
    (Sawa, J. Econometrics 1978, of a series about one line). Each line takes two long-run variances
    off the squares, so that n − 2kI of them are left of σ², with the inflation I = (1 + φ)/(1 − φ).
    The logarithm of σ_ε²/(1 − φ)² has the variance (2 + 4I)/n, by that of φ, (1 − φ²)/n, and that
    of the innovations' logarithm, 2/n: as many degrees of freedom as a mean square with that
    variance has (Satterthwaite, Biometrics Bulletin 1946).

    Args:
        values: [n].
        ends: 0, the first point of each segment but the first, n.
    """
    n, lines = values.size, len(ends) - 1
    rest = values.copy()
    for begin, end in pairwise(ends):
        start, slope = line(values[begin:end])
        rest[begin:end] -= start + slope * np.arange(end - begin)
    first = float(autocorrelation(rest, 1)[1])
    first = min(max(first + lines * (2.0 + 4.0 * first) / n, 0.0), SLOWEST)
    inflation = (1.0 + first) / (1.0 - first)
    free = max(n - 2.0 * lines * inflation, 1.0)
    variance = max(float(rest @ rest) / free, LEAST)
    return Left(variance * inflation, max(free / (1.0 + 2.0 * inflation), 1.0))


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
