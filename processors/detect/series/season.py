"""What a series is like at each phase of its period."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from processors.detect.series.features import Floats

PHASES = 48  # at most, so that the profile of a series is small
WEIGHT = 0.2  # of a new cycle in the profile


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
