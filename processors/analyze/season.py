"""What repeats in a series, and what is left without it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SHORTEST = 4  # points of a period
CYCLES = 3  # that a period must be seen
LEAST = 0.4  # correlation with itself one period before, and so many
SURE = 3.5  # deviations of the correlation of noise, 1/√n
DIP = 0.4  # by how much less it must be at some lag before: what only fades has no period
NEARLY = 0.8  # of the best correlation: the shortest lag with that much is about the period
FEW = 4  # lags of a correlation that are added up one by one, of more by a transform
WIDER = 1.3  # times that: up to there the best lag is looked for


@dataclass(frozen=True, slots=True)
class Decomposition:
    """A series [n] as trend + season + rest."""

    period: int
    trend: Floats  # [n], NaN within half a period of both ends
    season: Floats  # [n], about 0
    rest: Floats  # [n], NaN where the trend is
    strength: float  # the season's part of what the trend leaves, 0 to 1


def decompose(values: Floats, period: int) -> Decomposition:
    """Take a series apart into a moving mean of one period, the mean of each phase, and the rest.

    The classical decomposition (Macaulay, "The smoothing of time series", 1931); the strength is
    1 − Var(rest)/Var(season + rest), at least 0 (Hyndman & Athanasopoulos, "Forecasting:
    principles and practice", 2021, section 4.3).

    Args:
        values: [n], at least two periods.
        period: Points of one repetition, at least 2.

    Raises:
        ValueError: The series is shorter than two periods.
    """
    n = values.size
    if period < 2 or n < 2 * period:
        raise ValueError(f"{n} points are no two periods of {period}")
    sums = np.concatenate(([0.0], np.cumsum(values - values[0])))
    moving = (sums[period:] - sums[:-period]) / period + values[0]
    if period % 2 == 0:
        moving = (moving[1:] + moving[:-1]) / 2.0
    half = period // 2
    trend = np.full(n, np.nan)
    trend[half : n - half] = moving
    apart = values - trend
    phase, inner = np.arange(n) % period, slice(half, n - half)
    phases = np.bincount(phase[inner], apart[inner], period) / np.bincount(phase[inner])
    season = np.resize(phases - phases.mean(), n)
    rest = apart - season
    whole = float(np.nanvar(apart))
    strength = max(0.0, 1.0 - float(np.nanvar(rest)) / whole) if whole > 0.0 else 0.0
    return Decomposition(period, trend, season, rest, strength)


def period_of(values: Floats) -> int | None:
    """After how many points a series repeats; None when it does not, or not often enough to tell.

    The lag at which a series without its line correlates with itself best, after a lag at which it
    did not; of such lags that are nearly as good, the shortest; and of those about it the one whose
    phases differ most.

    Args:
        values: [n], evenly spaced.
    """
    return periods(values[None])[0]


def periods(values: Floats) -> list[int | None]:
    """`period_of` each of several series [r, n]."""
    n = values.shape[1]
    longest = n // CYCLES
    if longest < SHORTEST:
        return [None] * len(values)
    at = np.arange(n) - (n - 1) / 2.0
    away = values - values.mean(axis=1, keepdims=True)
    away = away - at * ((away * at).sum(axis=1, keepdims=True) / float(at @ at))
    correlations = autocorrelation(away, longest + 1)
    lowest = np.minimum.accumulate(correlations, axis=1)
    lags = np.arange(SHORTEST, longest + 1)
    here = correlations[:, lags]
    good = (here >= max(LEAST, SURE / np.sqrt(n))) & (here - lowest[:, lags] >= DIP)
    good &= (here >= correlations[:, lags - 1]) & (here >= correlations[:, lags + 1])
    found: list[int | None] = [None] * len(values)
    for i in np.flatnonzero(good.any(axis=1)).tolist():
        first = int(lags[good[i] & (here[i] >= NEARLY * here[i][good[i]].max())][0])
        near = lags[(lags >= first) & (lags <= WIDER * first)]
        found[i] = _sharpened(away[i], int(near[int(np.argmax(correlations[i, near]))]))
    return found


def _sharpened(away: Floats, period: int) -> int:
    """The period within 5 % of one, at most 50 points, whose phases differ most from each other.

    A correlation hardly falls a few points beside a long period; over many of them phases blur.
    """
    reach = min(max(1, round(period / 20)), 50)
    near = range(max(SHORTEST, period - reach), min(period + reach, away.size // CYCLES) + 1)
    explained = []
    for each in near:
        phases = np.arange(away.size) % each
        sums, counts = np.bincount(phases, weights=away), np.bincount(phases)
        between = float((sums**2 / counts).sum())
        noise = (float(away @ away) - between) / (away.size - each)
        explained.append(between - each * noise)  # more phases explain more, of noise too
    return near[int(np.argmax(explained))]


def autocorrelation(values: Floats, most: int) -> Floats:
    """The correlation of series [..., n] with themselves *most* points before: [..., most + 1].

    Each lag by the pairs that there are: n of them for none, n − k for k. Zeros for a constant.
    """
    n = values.shape[-1]
    away = values - values.mean(axis=-1, keepdims=True)
    if most < FEW:
        lags = [(away[..., k:] * away[..., : n - k]).sum(axis=-1) for k in range(most + 1)]
        products = np.stack(lags, axis=-1)
    else:
        spectrum = np.fft.rfft(away, 2 * n)
        products = np.fft.irfft(spectrum * np.conj(spectrum), 2 * n)[..., : most + 1]
    whole = products[..., :1]
    least = n * 1e-24 * np.maximum(1.0, np.abs(values).max(axis=-1, keepdims=True) ** 2)
    parts = np.divide(products, whole, out=np.zeros_like(products), where=whole > least)
    found: Floats = parts * (n / (n - np.arange(most + 1)))
    return found


def deseasonalized(values: Floats) -> tuple[Floats, int | None]:
    """*values* [n] without what repeats in them, and after how many points it does, if it does."""
    period = period_of(values)
    if period is None:
        return values, None
    return values - decompose(values, period).season, period
