"""What the plain detectors are set with; each takes what it needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
TO_SIGMA = 1.4826  # 1 / Φ⁻¹(3/4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One for every detector and series.

    Raises:
        ValueError: a number that cannot work.
    """

    window: int = 120  # points of the past that are looked at
    minimum: int = 40  # points before the first score
    refit: int = 40  # points between two fits of what is fitted
    cap: float = 50.0  # σ beyond which no difference is made
    average: int = 10  # points of the moving average
    level: float = 0.2  # weight of a new value in the level of exponential smoothing
    trend: float = 0.02  # the same of the trend
    season: float = 0.1  # the same of the season
    period: int = 0  # points of a season; 0: there is none
    order: int = 3  # past differences that the autoregression looks at
    differences: int = 1  # how often it takes differences first
    trees: int = 50
    outside: float = 0.05  # ν, share of the past that the one-class machine may leave out
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        if not 20 <= self.minimum <= self.window or self.refit < 1 or self.average < 1:
            raise ValueError("20 ≤ minimum ≤ window; refit and average must be 1 or more")
        if not 0 < self.level <= 1 or not 0 <= self.trend <= 1 or not 0 <= self.season <= 1:
            raise ValueError("the weights of smoothing lie from 0 to 1, that of the level above 0")
        if self.period < 0 or self.order < 1 or self.differences not in {0, 1, 2}:
            raise ValueError("period is 0 or more, order 1 or more, differences 0, 1 or 2")
        if self.trees < 1 or not 0 < self.outside < 1 or self.cap <= 0:
            raise ValueError("trees is 1 or more, outside between 0 and 1, cap above 0")


def in_sigmas(distance: Floats, sigma: Floats, setting: Setting) -> Floats:
    """|distance| in σ, at most the cap; where σ is 0 any distance is the cap; NaN is 0."""
    away = np.abs(np.nan_to_num(distance))
    known = np.nan_to_num(sigma)
    scores = np.divide(away, known, out=np.full(away.shape, setting.cap), where=known > 0)
    return np.minimum(np.where(away > 0, scores, 0.0), setting.cap)
