"""The difference of two concurrent means, compared minute by minute and added up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from processors.stats.dispersion import Dispersion


class Moments(NamedTuple):
    """A sample's size, mean, and sum of squares about it."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0


@dataclass(frozen=True, slots=True)
class Contrast:
    """What both arms did, and by how much they differed in the same minutes."""

    stable_n: int = 0
    candidate_n: int = 0
    stable_sum: float = 0.0
    candidate_sum: float = 0.0
    compared_n: int = 0  # the candidate's, in minutes in which the stable arm had values too
    same: Dispersion = field(default_factory=Dispersion)

    def add(self, stable: Moments, candidate: Moments) -> Contrast:
        """Add one minute; where an arm is empty there is nothing to compare."""
        same, compared = self.same, self.compared_n
        if stable.n and candidate.n:
            same = same.add(
                (stable.n, candidate.n),
                (candidate.mean - stable.mean,),
                (stable.squares + candidate.squares,),
            )
            compared += candidate.n
        return Contrast(
            stable_n=self.stable_n + stable.n,
            candidate_n=self.candidate_n + candidate.n,
            stable_sum=self.stable_sum + stable.n * stable.mean,
            candidate_sum=self.candidate_sum + candidate.n * candidate.mean,
            compared_n=compared,
            same=same,
        )

    @property
    def weight(self) -> float:
        """Σ n_c n_s / (n_c + n_s): half the requests of one arm when both are equal."""
        return self.same.weight

    @property
    def difference(self) -> float:
        """Candidate − stable in the same minutes, 0 before anything could be compared."""
        return self.same.lifts[0] / self.weight if self.weight else 0.0

    @property
    def variance(self) -> float:
        """σ² of one observation, within arms and minutes; 0 when unknown."""
        return self.same.squares[0] / self.same.freedom if self.same.freedom > 0 else 0.0

    @property
    def inflation(self) -> float:
        """φ, see `Dispersion.inflation`."""
        return self.same.inflation()
