"""The difference of two concurrent means, compared minute by minute and added up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple

BLOCK = 10  # compared minutes: sessions last shorter than that
TRUST = 10.0  # blocks of "no inflation" that an estimate starts from


class Moments(NamedTuple):
    """A sample's size, mean, and sum of squares about it."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0


@dataclass(frozen=True, slots=True)
class Spread:
    """Sums over blocks of minutes: of w·d and w, their squares and product, to see them scatter."""

    blocks: int = 0
    weight: float = 0.0
    lift2: float = 0.0
    cross: float = 0.0
    weight2: float = 0.0

    def add(self, lift: float, weight: float) -> Spread:
        """Count one block."""
        return Spread(
            self.blocks + 1,
            self.weight + weight,
            self.lift2 + lift * lift,
            self.cross + lift * weight,
            self.weight2 + weight * weight,
        )


@dataclass(frozen=True, slots=True)
class Contrast:
    """Running sums of a stratified comparison, candidate − stable; a minute is a stratum.

    In each minute both arms saw the same load, so only differences within a minute count, with
    the weight w = n_c n_s / (n_c + n_s) that makes the estimate Σ w d / Σ w precise (Cochran 1954,
    Mantel-Haenszel). Its variance is σ²/Σw with σ² pooled within arms and minutes.
    """

    stable_n: int = 0
    candidate_n: int = 0
    stable_sum: float = 0.0
    candidate_sum: float = 0.0
    weight: float = 0.0
    lift: float = 0.0  # Σ w d
    squares: float = 0.0
    freedom: int = 0
    minutes: Spread = field(default_factory=Spread)
    blocks: Spread = field(default_factory=Spread)
    open_minutes: int = 0
    open_lift: float = 0.0
    open_weight: float = 0.0

    def add(self, stable: Moments, candidate: Moments) -> Contrast:
        """Add one minute; where an arm is empty there is nothing to compare."""
        counted = replace(
            self,
            stable_n=self.stable_n + stable.n,
            candidate_n=self.candidate_n + candidate.n,
            stable_sum=self.stable_sum + stable.n * stable.mean,
            candidate_sum=self.candidate_sum + candidate.n * candidate.mean,
        )
        if not stable.n or not candidate.n:
            return counted
        weight = stable.n * candidate.n / (stable.n + candidate.n)
        lift = weight * (candidate.mean - stable.mean)
        open_lift, open_weight = self.open_lift + lift, self.open_weight + weight
        full = self.open_minutes + 1 == BLOCK
        return replace(
            counted,
            weight=self.weight + weight,
            lift=self.lift + lift,
            squares=self.squares + stable.squares + candidate.squares,
            freedom=self.freedom + stable.n + candidate.n - 2,
            minutes=self.minutes.add(lift, weight),
            blocks=self.blocks.add(open_lift, open_weight) if full else self.blocks,
            open_minutes=0 if full else self.open_minutes + 1,
            open_lift=0.0 if full else open_lift,
            open_weight=0.0 if full else open_weight,
        )

    @property
    def difference(self) -> float:
        """Candidate − stable, 0 before anything could be compared."""
        return self.lift / self.weight if self.weight else 0.0

    @property
    def variance(self) -> float:
        """σ² of one observation, within arms and minutes; 0 when unknown."""
        return self.squares / self.freedom if self.freedom > 0 else 0.0

    @property
    def inflation(self) -> float:
        """φ ≥ 1: how much more the minutes' differences scatter than independent requests would.

        The scatter about the common difference, over what σ² explains, for single minutes and for
        blocks of 10, the larger of the two; each starts from `TRUST` blocks of φ = 1. It is the
        dispersion of a quasi-likelihood (McCullagh & Nelder 1989, 4.5): sessions that put alike
        requests into one arm show up here.
        """
        variance, difference = self.variance, self.difference
        if variance <= 0.0:
            return 1.0
        worst = 1.0
        for spread in (self.minutes, self.blocks):
            if spread.blocks < 2:
                continue
            scatter = (
                spread.lift2
                - 2.0 * difference * spread.cross
                + difference * difference * spread.weight2
            )
            ratio = max(scatter, 0.0) / (variance * spread.weight)
            worst = max(worst, (TRUST + spread.blocks * ratio) / (TRUST + spread.blocks - 1.0))
        return worst
