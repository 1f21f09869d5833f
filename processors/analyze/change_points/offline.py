"""Where did a series change, when all of it is known?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import special

from processors.analyze.change_points.noise import left, noise, without_spikes
from processors.analyze.change_points.penalized import segment
from processors.analyze.change_points.segments import Lines, line

Floats = npt.NDArray[np.float64]

LOOKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmenting:
    """What a change must be worth, the same for every series.

    Raises:
        ValueError: A number that cannot work.
    """

    rarity: float = 2.0  # a change is one that noise shows at a given point with points⁻² at most
    shortest: int = 5  # points of a segment
    correlated: float = 0.75  # noise is taken for no slower than this, see `noise`
    spike: float = 5.0  # root mean squares beyond which a lone point is replaced
    most: int = 4_096  # points; of more, blocks are averaged, and changes found to the point after

    def __post_init__(self) -> None:
        """Refuse what would find a change everywhere, or never end."""
        if self.rarity <= 0.0 or self.spike <= 0.0:
            raise ValueError("rarity and spike must be above 0")
        if self.shortest < 2 or self.most < 4 * self.shortest:
            raise ValueError("shortest must be at least 2, most at least four times that")
        if not 0.0 <= self.correlated < 1.0:
            raise ValueError(f"correlated must lie in [0, 1), got {self.correlated}")


@dataclass(frozen=True, slots=True)
class Side:
    """One series on both sides of a change: the lines through the segments that it parts."""

    before: float  # the line's value at the last point before
    after: float  # and at the first point after
    slope_before: float  # for each point
    slope_after: float

    @property
    def shift(self) -> float:
        """By how much the level jumped."""
        return self.after - self.before


@dataclass(frozen=True, slots=True)
class Change:
    """A change of level or slope, in all series at once."""

    index: int  # the first point that is of after
    p: float  # the chance to see as much anywhere in as many points of noise, at most
    sides: tuple[Side, ...]  # by series


def changes(series: Floats | Sequence[Floats], policy: Segmenting | None = None) -> list[Change]:
    r"""The changes of level and slope of one series [n], or of several [d, n] together.

    Between two changes a series is a line and noise. The segmentation is the one of the least

        Σ_segments Σ_series RSS / long-run variance + β · changes,

    exactly, where χ²(2d) exceeds β with the chance n^−rarity; for one series β = 2 rarity ln n. The
    long-run variance stands where independent noise would have its own: a mean of correlated noise
    wanders as far as one with that variance (Lavielle & Moulines, "Least-squares estimation of an
    unknown number of shifts in a time series", J. Time Series Analysis 2000); it is estimated from
    differences, as if the noise were AR(1) (`noise`), and again without the steps at the changes
    that a first look has found.

    *p* is of the noise that is left about the lines in the end (`left`): of it, at a given place, a
    change takes off 2d times what has Fisher's distribution with 2d and that noise's degrees of
    freedom, and *p* is n times its upper tail (Bonferroni), given the other changes.

    Args:
        series: Finite values, evenly spaced.
        policy: What a change must be worth; one setting for everything.

    Returns:
        Rising; none for fewer than twice the shortest segment, or a constant.

    Raises:
        ValueError: A value is not finite.
    """
    policy = policy or Segmenting()
    rows = np.atleast_2d(np.asarray(series, dtype=np.float64))
    if not np.isfinite(rows).all():
        raise ValueError("values must be finite: leave out or fill in what is missing")
    if rows.shape[1] < 2 * policy.shortest:
        return []
    scaled = _scaled(rows, policy)
    if not scaled.size:
        return []
    block = -(-rows.shape[1] // policy.most)
    n = rows.shape[1] // block
    coarse = scaled[:, : n * block].reshape(len(scaled), n, block).mean(axis=2)
    beta = float(special.chdtri(2 * len(scaled), n**-policy.rarity))
    found: tuple[int, ...] = ()
    for _ in range(LOOKS):
        parted = found
        lines = Lines.of(np.array([each / _deviation(each, policy, parted) for each in coarse]))
        found = segment(n, lines.left, beta, policy.shortest)
        if found == parted:
            break
    chances = _chances(coarse, [0, *found, n]) if found else []
    ends = [0, *(block * each for each in found), rows.shape[1]]
    if block > 1:
        ends = _to_the_point(Lines.of(scaled), ends, block)
    return [
        Change(index, p, _sides(rows, before, index, end))
        for (before, index, end), p in zip(_triples(ends), chances, strict=True)
    ]


def fitted(values: Floats, found: Sequence[Change]) -> Floats:
    """The lines of the segments between the changes: [n], as *values*."""
    ends = [0, *(each.index for each in found), values.size]
    parts = []
    for begin, end in pairwise(ends):
        start, slope = line(values[begin:end])
        parts.append(start + slope * np.arange(end - begin))
    return np.concatenate(parts)


def _scaled(rows: Floats, policy: Segmenting) -> Floats:
    """Series [k, n] about 0 with deviation 1, without spikes, without those that are constant."""
    kept = []
    for row in rows:
        spread = float(row.std())
        if spread > 1e-12 * float(np.abs(row).max()):
            kept.append(without_spikes((row - row.mean()) / spread, policy.spike))
    return np.array(kept)


def _deviation(values: Floats, policy: Segmenting, known: Sequence[int]) -> float:
    return math.sqrt(noise(values, policy.correlated, known).long_run)


def _gain(lines: Lines, before: int, index: int, end: int) -> float:
    """What the change takes off the squares of the segments beside it."""
    whole, left, right = lines.left(
        np.array([before, before, index]), np.array([end, index, end])
    ).tolist()
    return float(whole - left - right)


def _chances(series: Floats, cuts: Sequence[int]) -> list[float]:
    """The p of each change of *series* [d, n] that stands in *cuts*, between 0 and n."""
    noises = [left(row, cuts) for row in series]
    lines = Lines.of(series / np.sqrt([[each.long_run] for each in noises]))
    freedom = min(each.freedom for each in noises)
    return [
        _p(_gain(lines, before, index, end), series.shape[1], len(series), freedom)
        for before, index, end in _triples(cuts)
    ]


def _p(gain: float, n: int, series: int, freedom: float) -> float:
    return min(1.0, n * float(special.fdtrc(2 * series, freedom, gain / (2.0 * series))))


def _to_the_point(lines: Lines, ends: list[int], block: int) -> list[int]:
    """Each change at the best point within a block of where it was found."""
    refined = list(ends)
    for i in range(1, len(ends) - 1):
        before, after = refined[i - 1], ends[i + 1]
        places = range(max(ends[i] - block, before + 1), min(ends[i] + block, after - 1) + 1)
        costs = [-_gain(lines, before, place, after) for place in places]
        refined[i] = places[int(np.argmin(costs))]
    return refined


def _sides(rows: Floats, before: int, index: int, end: int) -> tuple[Side, ...]:
    found = []
    for row in rows:
        begins, slope = line(row[before:index])
        after, slope_after = line(row[index:end])
        found.append(Side(begins + slope * (index - before - 1), after, slope, slope_after))
    return tuple(found)


def _triples(ends: Sequence[int]) -> list[tuple[int, int, int]]:
    pairs = list(pairwise(ends))
    return [(a, b, c) for (a, b), (_, c) in pairwise(pairs)]
