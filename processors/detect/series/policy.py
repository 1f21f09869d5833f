"""The one setting of the ensemble."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPolicy:
    """What is remembered of a series, and when its values are surprising.

    Raises:
        ValueError: a number that cannot work.
    """

    half: float = 6.0  # points in which the short means forget one half
    calm: float = 300.0  # the same of the mean that tells what changes are usual
    places: int = 32  # values that each member remembers as seen
    largest: int = 12  # distances that the tail is fitted to
    minimum: int = 100  # points before the first score
    horizon: int = 10_080  # points (a week of minutes) in which the tail forgets one half
    rest: int = 120  # points for which a score is told only if it is above the last one told
    sensitivity: float = 0.5  # 0 to 1, see `threshold`

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.half <= 0 or self.calm <= self.half:
            raise ValueError("half must be above 0 and calm above half")
        if self.places < 2 or not 2 <= self.largest <= self.minimum <= self.horizon:
            raise ValueError("places must be 2 or more, and 2 ≤ largest ≤ minimum ≤ horizon")
        if self.rest < 0 or not 0 <= self.sensitivity <= 1:
            raise ValueError("rest must not be negative, sensitivity from 0 to 1")

    @property
    def threshold(self) -> float:
        """The score from which a value is an anomaly: 16 at sensitivity 0, 9 at ½, 2 at 1."""
        return 16.0 - 14.0 * self.sensitivity

    @property
    def false_alarms(self) -> float:
        """The most alarms a point of a series without anomalies, measured, not derived.

        It bounds what independent normal, lognormal, Student (4 degrees of freedom) and Poisson
        values, an autoregression and a daily course gave. Light tails give far fewer.
        """
        return chance(self.threshold)


def chance(score: float) -> float:
    """The most points of a series without anomalies that score that much, see `false_alarms`."""
    return float(10.0 ** -(1.6 + 0.2 * score))
