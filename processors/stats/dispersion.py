"""How much more do the arms differ from minute to minute than independent requests would?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

BLOCK = 20  # compared minutes: longer than most sessions
FLOOR = 1.4  # inflation that is always assumed
PRIOR = 1.75  # inflation that an estimate starts from
TRUST = 10.0  # how many blocks that start weighs


@dataclass(frozen=True, slots=True)
class Spread:
    """Sums over blocks of w·d and w, their squares and products: how the blocks scatter."""

    blocks: int = 0
    weight: float = 0.0
    weight2: float = 0.0
    lift2: tuple[float, ...] = ()
    cross: tuple[float, ...] = ()

    def add(self, lifts: Sequence[float], weight: float) -> Spread:
        """Count one block."""
        lift2 = self.lift2 or (0.0,) * len(lifts)
        cross = self.cross or (0.0,) * len(lifts)
        return Spread(
            self.blocks + 1,
            self.weight + weight,
            self.weight2 + weight * weight,
            tuple([old + lift * lift for old, lift in zip(lift2, lifts, strict=True)]),
            tuple([old + lift * weight for old, lift in zip(cross, lifts, strict=True)]),
        )


@dataclass(frozen=True, slots=True)
class Dispersion:
    """Running sums of k differences d = candidate − stable; a minute is a stratum.

    In each minute both arms saw the same load, so only differences within a minute count, with
    the weight w = n_c n_s / (n_c + n_s) that makes the estimate Σ w d / Σ w precise (Cochran
    1954, Mantel-Haenszel). Its variance is φσ²/Σw, with σ² pooled within arms and minutes.
    """

    weight: float = 0.0
    freedom: int = 0
    lifts: tuple[float, ...] = ()  # Σ w d
    squares: tuple[float, ...] = ()  # within arms and minutes
    minutes: Spread = field(default_factory=Spread)
    blocks: Spread = field(default_factory=Spread)
    open_minutes: int = 0
    open_weight: float = 0.0
    open_lifts: tuple[float, ...] = ()

    def add(
        self,
        sizes: tuple[int, int],
        differences: Sequence[float],
        squares: Sequence[float],
    ) -> Dispersion:
        """Add a minute in which both arms had values.

        Args:
            sizes: n_s and n_c, positive.
            differences: d [k].
            squares: [k], sums of squares of both arms, each about its own mean.
        """
        weight = sizes[0] * sizes[1] / (sizes[0] + sizes[1])
        lifts = tuple([weight * d for d in differences])
        zeros = (0.0,) * len(lifts)
        open_weight = self.open_weight + weight
        open_lifts = _sum(self.open_lifts or zeros, lifts)
        full = self.open_minutes + 1 == BLOCK
        return Dispersion(
            weight=self.weight + weight,
            freedom=self.freedom + sizes[0] + sizes[1] - 2,
            lifts=_sum(self.lifts or zeros, lifts),
            squares=_sum(self.squares or zeros, squares),
            minutes=self.minutes.add(lifts, weight),
            blocks=self.blocks.add(open_lifts, open_weight) if full else self.blocks,
            open_minutes=0 if full else self.open_minutes + 1,
            open_weight=0.0 if full else open_weight,
            open_lifts=() if full else open_lifts,
        )

    def inflation(self, i: int = 0) -> float:
        """φ of the i-th difference, at least FLOOR.

        The scatter of the minutes' differences about the common one, over what σ² explains, and
        the same for blocks of 20 minutes; the larger of the two, each shrunk to PRIOR. It is the
        dispersion of a quasi-likelihood (McCullagh & Nelder 1989, section 4.5): sessions that put
        alike requests into one arm show up here, and within a block also when they go on.
        """
        worst = FLOOR
        if self.freedom <= 0 or self.squares[i] <= 0.0:
            return worst
        variance, difference = self.squares[i] / self.freedom, self.lifts[i] / self.weight
        for spread in (self.minutes, self.blocks):
            if spread.blocks < 2:
                continue
            scatter = (
                spread.lift2[i]
                - 2.0 * difference * spread.cross[i]
                + difference * difference * spread.weight2
            )
            ratio = max(scatter, 0.0) / (variance * spread.weight)
            estimate = (PRIOR * TRUST + spread.blocks * ratio) / (TRUST + spread.blocks - 1.0)
            worst = max(worst, estimate)
        return worst


def _sum(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    return tuple([x + y for x, y in zip(a, b, strict=True)])
