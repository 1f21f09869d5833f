"""How long ago did a series last change? A distribution, renewed by each value."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BayesianPolicy:
    """What is believed before: how often there are changes, and of the values after one.

    Raises:
        ValueError: A number that cannot work.
    """

    hazard: float = 1.0 / 250.0  # chance of a change at each value
    mean: float = 0.0  # μ₀ of a segment
    strength: float = 0.1  # κ₀: how many values the belief about the mean is worth
    shape: float = 1.0  # α₀ of the inverse gamma of the variance
    scale: float = 1.0  # β₀ of it
    most: int = 500  # run lengths that are told apart; of more, the least likely is let go

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if not 0.0 < self.hazard < 1.0:
            raise ValueError(f"hazard must lie between 0 and 1, exclusive, got {self.hazard}")
        if min(self.strength, self.shape, self.scale) <= 0.0 or self.most < 2:
            raise ValueError("strength, shape and scale must be above 0, most at least 2")


def _one(value: float = 0.0) -> Floats:
    return np.array([value])


@dataclass(frozen=True, slots=True)
class RunLengths:
    """The run lengths that are possible, rising, and what is known of the values of each [k].

    A run of length r has begun r values ago; 0 means that the next value is the first of a segment.
    """

    lengths: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, dtype=np.int64))
    log_p: Floats = field(default_factory=_one)
    sums: Floats = field(default_factory=_one)  # Σ(x − μ₀)
    squares: Floats = field(default_factory=_one)  # Σ(x − μ₀)²

    def recent(self, within: int) -> float:
        """The chance that a change lies at most *within* values back."""
        return float(np.exp(self.log_p[self.lengths <= within]).sum())

    @property
    def likeliest(self) -> int:
        """The run length of the highest chance."""
        return int(self.lengths[int(np.argmax(self.log_p))])


def update(policy: BayesianPolicy, state: RunLengths, x: float) -> RunLengths:
    r"""Take in a value.

    P(r + 1 | x) ∝ P(r) t(x | r)(1 − H) and P(0 | x) ∝ Σ_r P(r) t(x | r) H, where t is Student's
    predictive density under a normal-inverse-gamma prior (Adams & MacKay, "Bayesian online
    changepoint detection", 2007; Murphy, "Conjugate Bayesian analysis of the Gaussian
    distribution", 2007, section 3).

    Raises:
        ValueError: The value is not finite.
    """
    if not math.isfinite(x):
        raise ValueError("a value must be finite: leave out what is missing")
    away = x - policy.mean
    grown = state.log_p + _predictive(policy, state, away)
    change = float(special.logsumexp(grown)) + math.log(policy.hazard)
    log_p = np.concatenate(([change], grown + math.log1p(-policy.hazard)))
    log_p -= special.logsumexp(log_p)
    lengths = np.concatenate(([0], state.lengths + 1))
    sums = np.concatenate(([0.0], state.sums + away))
    squares = np.concatenate(([0.0], state.squares + away * away))
    if lengths.size > policy.most:
        kept = np.delete(np.arange(lengths.size), int(np.argmin(log_p)))
        lengths, log_p, sums, squares = lengths[kept], log_p[kept], sums[kept], squares[kept]
        log_p = log_p - special.logsumexp(log_p)
    return RunLengths(lengths, log_p, sums, squares)


def _predictive(policy: BayesianPolicy, state: RunLengths, away: float) -> Floats:
    """Log density of the next value, for each run length."""
    n = state.lengths.astype(np.float64)
    kappa = policy.strength + n
    alpha = policy.shape + n / 2.0
    mean = state.sums / kappa
    beta = policy.scale + 0.5 * np.maximum(state.squares - kappa * mean * mean, 0.0)
    spread = beta * (kappa + 1.0) / (alpha * kappa)  # squared scale of Student's t, 2α freedom
    density: Floats = (
        special.gammaln(alpha + 0.5)
        - special.gammaln(alpha)
        - 0.5 * np.log(2.0 * np.pi * alpha * spread)
        - (alpha + 0.5) * np.log1p((away - mean) ** 2 / (2.0 * alpha * spread))
    )
    return density
