"""How far is a point from everything seen before, told from few places that stand for it all?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from processors.detect.series.features import Singles


class Places(NamedTuple):
    """Of R rows the K places each that stand for what was seen."""

    at: Singles  # [2, R, K], infinite where there is none yet
    gap: Singles  # [R, K], squared, to the nearest other place, -1 where there is none yet


def begin(rows: int, places: int) -> Places:
    """One place at 0, where every series begins, see `features.look`."""
    at = np.full((2, rows, places), np.inf, np.float32)
    gap = np.full((rows, places), -1.0, np.float32)
    at[:, :, 0], gap[:, 0] = 0.0, np.inf
    return Places(at, gap)


def visit(places: Places, points: Singles) -> tuple[Singles, Places]:
    """The distance of each point to the nearest place; then the point may become a place.

    While a row is not full, every new point is one. Then a point that is further from all places
    than the two closest places are from each other takes the place of one of these, so that the
    places spread over all that was seen: the greedy covering of Gonzalez (Theoretical Computer
    Science 38, 1985), one point at a time. A gap whose neighbour was given up is too small until
    its own place is given up in turn; that costs a place sooner, not the cover.

    Args:
        places: Of R rows.
        points: [2, R].

    Returns:
        Distances [R] and the places.
    """
    at, gap = places
    away = at[0] - points[0][:, None]
    away *= away
    second = at[1] - points[1][:, None]
    second *= second
    away += second
    nearest = np.minimum.reduce(away, axis=1)
    rows = np.flatnonzero((nearest > 0) & (nearest > np.minimum.reduce(gap, axis=1)))
    if rows.size:
        at, gap = at.copy(), gap.copy()
        given = gap[rows].argmin(axis=1)
        gap[rows] = np.minimum(gap[rows], away[rows])
        gap[rows, given] = nearest[rows]
        at[:, rows, given] = points[:, rows]
    return np.sqrt(nearest), Places(at, gap)
