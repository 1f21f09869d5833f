"""A threshold that keeps its rate of alarms, whatever the scores do."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Which part of the points may be told.

    Raises:
        ValueError: a number that cannot work.
    """

    target: float = 0.001  # of the points
    pace: float = 0.5  # how far one alarm lifts the threshold, in the unit of the scores
    most: float = 24.0  # the highest score that there is

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if not 0 < self.target < 1 or self.pace <= 0 or self.most <= 0:
            raise ValueError("target lies between 0 and 1; pace and most are above 0")


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where the threshold stands."""

    at: float


def pass_on(rate: Rate, threshold: Threshold, score: float) -> tuple[bool, Threshold]:
    """Whether *score* is told, and the threshold for the next.

    An alarm lifts it by pace · (1 − target), any other point lowers it by pace · target. As the
    threshold stays between −pace and most + pace, the share of alarms of T points is off the target
    by at most (most + 2 pace) / (pace · T), for any scores at all: adaptive conformal inference
    (Gibbs & Candès, NeurIPS 2021).
    """
    told = score >= threshold.at
    moved = threshold.at + rate.pace * ((1.0 if told else 0.0) - rate.target)
    return told, replace(threshold, at=moved)
