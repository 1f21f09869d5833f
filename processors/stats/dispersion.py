"""How much more do the arms differ from minute to minute than independent requests would?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SCALES = 6  # blocks of 1, 2, 4 … 32 compared minutes: longer than most sessions
FLOOR = 1.25  # inflation that is always assumed
PRIOR = 1.5  # inflation that an estimate starts from
TRUST = 8.0  # how many blocks that start weighs


@dataclass(frozen=True, slots=True)
class Scale:
    """How blocks of one length scatter, and the half of the next longer one that is there.

    Sums over blocks of w·d and w, their squares and products.
    """

    blocks: int = 0
    weight: float = 0.0
    weight2: float = 0.0
    lift2: tuple[float, ...] = ()
    cross: tuple[float, ...] = ()
    half_weight: float = 0.0
    half: tuple[float, ...] = ()  # () when the blocks so far are an even number

    def add(self, lifts: tuple[float, ...], weight: float) -> Scale:
        """Count one block; the pair that it completes is for the next scale (`pair`)."""
        squares, products = [x * x for x in lifts], [x * weight for x in lifts]
        return Scale(
            blocks=self.blocks + 1,
            weight=self.weight + weight,
            weight2=self.weight2 + weight * weight,
            lift2=_sum(self.lift2, squares) if self.lift2 else tuple(squares),
            cross=_sum(self.cross, products) if self.cross else tuple(products),
            half_weight=0.0 if self.half else weight,
            half=() if self.half else lifts,
        )

    def scatter(self, i: int, difference: float) -> float:
        """Σ w²(d_i − difference)² over the blocks."""
        square = difference * difference * self.weight2
        return max(self.lift2[i] - 2.0 * difference * self.cross[i] + square, 0.0)


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
    scales: tuple[Scale, ...] = (Scale(),) * SCALES

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
        return self.count(weight, sizes[0] + sizes[1] - 2, lifts, squares)

    def count(
        self, weight: float, freedom: int, lifts: tuple[float, ...], squares: Sequence[float]
    ) -> Dispersion:
        """Add a minute whose weight w, degrees of freedom and w·d [k] are known."""
        zeros = (0.0,) * len(lifts)
        return Dispersion(
            weight=self.weight + weight,
            freedom=self.freedom + freedom,
            lifts=_sum(self.lifts or zeros, lifts),
            squares=_sum(self.squares or zeros, squares),
            scales=_counted(self.scales, lifts, weight),
        )

    def inflation(self, i: int = 0, prior: float = PRIOR) -> float:
        """φ of the i-th difference, at least FLOOR.

        The scatter of the minutes' differences about the common one, over what σ² explains, and
        the same for blocks of 2, 4 … 32 minutes; the largest of them, each shrunk to *prior*. It
        is the dispersion of a quasi-likelihood (McCullagh & Nelder 1989, section 4.5): sessions
        that put alike requests into one arm show up here, and within a block also when they go on.

        Args:
            i: Which difference.
            prior: What an estimate starts from, and is there before the first minutes are.
        """
        if self.freedom <= 0 or self.squares[i] <= 0.0:
            return max(prior, FLOOR)
        worst = FLOOR if self.scales[0].blocks > 1 else max(prior, FLOOR)
        variance, difference = self.squares[i] / self.freedom, self.lifts[i] / self.weight
        for scale in self.scales:
            if scale.blocks < 2:
                break
            ratio = scale.scatter(i, difference) / (variance * scale.weight)
            estimate = (prior * TRUST + scale.blocks * ratio) / (TRUST + scale.blocks - 1.0)
            worst = max(worst, estimate)
        return worst


def _counted(
    scales: tuple[Scale, ...], lifts: tuple[float, ...], weight: float
) -> tuple[Scale, ...]:
    """Count a minute; two blocks that follow one another are one block of the next scale."""
    counted = list(scales)
    for at, scale in enumerate(scales):
        counted[at] = scale.add(lifts, weight)
        if not scale.half:
            break
        lifts, weight = _sum(scale.half, lifts), scale.half_weight + weight
    return tuple(counted)


def _sum(a: Sequence[float], b: Sequence[float]) -> tuple[float, ...]:
    return tuple([x + y for x, y in zip(a, b, strict=True)])
