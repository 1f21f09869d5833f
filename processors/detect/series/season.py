"""A period that is found, and what a series is like at each phase of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import fft

from processors.detect.series.features import Floats

CYCLES = 3  # that must have been seen of a period
LEVEL = 0.001  # chance that a series without a period seems to have one
LEAST = 0.3  # correlation of a series with itself one period later, to be worth taking out
PHASES = 48  # at most, so that the profile of a series is small
WEIGHT = 0.2  # of a new cycle in the profile


def period(values: Floats) -> int:
    """The period of a series in points, 0 where there is none.

    What is left of a line is correlated with itself; the period is the first lag, above 2 and seen
    CYCLES times, to which the correlation comes back about as far as to any. It must come back by
    LEAST, and by more than the highest of as many correlations of independent values is with
    chance LEVEL. Cycles that come and go by chance are not told from a season: an autoregression
    of 0.9 seems to have one in up to 9 of 100 series.

    Args:
        values: [n], finite.
    """
    n, longest = values.size, values.size // CYCLES
    if longest < 3:
        return 0
    line = np.polynomial.Polynomial.fit(np.arange(n), values, 1)(np.arange(n))
    rest = values - line
    if rest.std() <= 1e-12 * max(float(np.abs(values).max()), 1e-300):
        return 0
    spectrum = fft.rfft(rest, 2 * n)
    together = fft.irfft(np.abs(spectrum) ** 2, 2 * n)[: longest + 2]
    # Each lag has fewer pairs than the one before.
    correlation = together / together[0] * n / (n - np.arange(together.size))
    # A drift falls slowly from lag 0 on; a season falls below what it rises to again.
    lowest = np.minimum.accumulate(correlation)
    lags = np.arange(3, longest + 1)
    # The maximum of m normal values passes √(2 log(m / LEVEL)) rarely.
    bound = np.sqrt(2.0 * np.log(longest / LEVEL) / (n - longest))
    back = correlation[lags] - np.maximum(lowest[lags], 0.0)
    best = float(back.max())
    if best < max(LEAST, float(bound)):
        return 0
    # Multiples of a period come back as high, but for noise: the first near the best, and there
    # the highest.
    first = int(lags[back >= 0.8 * best][0])
    near = np.arange(first, min(first + first // 3, longest) + 1)
    return int(near[np.argmax(correlation[near])])


class Season(NamedTuple):
    """What S series are like at each phase, about their own mean."""

    at: int  # the next point's place in the period
    profile: Floats  # [S, phases]
    seen: npt.NDArray[np.float64]  # [S, phases], cycles


def begin(series: int, length: int) -> Season:
    """Nothing known yet of a period of *length* points.

    Raises:
        ValueError: a period of fewer than 2 points.
    """
    if length < 2:
        raise ValueError(f"a period has 2 points or more, not {length}")
    phases = min(length, PHASES)
    return Season(0, np.zeros((series, phases)), np.zeros((series, phases)))


def take_out(season: Season, length: int, values: Floats) -> tuple[Floats, Season]:
    """Values [S] less what is usual at this phase; then the phase learns them.

    Until a phase has been seen once there is nothing to take out. NaN stays NaN and teaches
    nothing.
    """
    phase = season.at * season.profile.shape[1] // length
    usual, cycles = season.profile[:, phase], season.seen[:, phase]
    there = np.isfinite(values)
    gain = np.where(there, np.maximum(WEIGHT, 1.0 / (cycles + 1.0)), 0.0)
    profile, seen = season.profile.copy(), season.seen.copy()
    profile[:, phase] = usual + gain * (np.where(there, values, 0.0) - usual)
    seen[:, phase] = cycles + there
    return values - usual, Season((season.at + 1) % length, profile, seen)
