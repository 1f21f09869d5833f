"""Has a mean that was known moved, up or down? As it comes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

OVERSHOOT = 1.166  # 2ρ₊: how much further than its limit a normal sum jumps, both ends together


@dataclass(frozen=True, slots=True, kw_only=True)
class CusumPolicy:
    """What counts as a move, in standard deviations of one value.

    Raises:
        ValueError: A number that cannot work.
    """

    slack: float = 0.5  # half the shift that is to be found soonest
    limit: float = 5.0  # of a sum; see `limit_of`

    def __post_init__(self) -> None:
        """Refuse what would always, or never, be an alarm."""
        if self.slack <= 0.0 or self.limit <= 0.0:
            raise ValueError("slack and limit must be above 0")


class Cusum(NamedTuple):
    """Both sums, in standard deviations, and for how long each has been above 0."""

    up: float = 0.0
    down: float = 0.0
    up_for: int = 0
    down_for: int = 0

    def update(self, policy: CusumPolicy, z: float) -> Cusum:
        """Take in a value, standardized by the mean and deviation that are known.

        S⁺ ← max(0, S⁺ + z − k) and S⁻ ← max(0, S⁻ − z − k) (Page, Biometrika 1954).
        """
        up = max(0.0, self.up + z - policy.slack)
        down = max(0.0, self.down - z - policy.slack)
        return Cusum(up, down, self.up_for + 1 if up else 0, self.down_for + 1 if down else 0)

    def moved(self, policy: CusumPolicy) -> int:
        """1 when the mean has risen, −1 when it has fallen, 0 when neither shows.

        >>> policy, state = CusumPolicy(), Cusum()
        >>> for z in [0.0] * 20 + [1.5] * 6:
        ...     state = state.update(policy, z)
        >>> state.moved(policy), state.since(policy)
        (1, 6)
        """
        if max(self.up, self.down) <= policy.limit:
            return 0
        return 1 if self.up >= self.down else -1

    def since(self, policy: CusumPolicy) -> int:
        """How many values ago the move began, as far as can be told; 0 when there is none."""
        return {0: 0, 1: self.up_for, -1: self.down_for}[self.moved(policy)]


def run_length(policy: CusumPolicy, shift: float = 0.0) -> float:
    r"""How many values there are until an alarm, on average, when the mean is *shift* away.

    For one side, with Δ = shift − k and b = h + 1.166,

        (e^(−2Δb) + 2Δb − 1) / 2Δ²,

    or b² when Δ = 0; of two sides rates add up. Reference: Siegmund, "Sequential Analysis", 1985,
    section 2.6, for independent normal values.

    Args:
        policy: Slack and limit.
        shift: In standard deviations, of either sign.

    Examples:
        >>> round(run_length(CusumPolicy(slack=0.5, limit=5.0)))
        469
        >>> round(run_length(CusumPolicy(slack=0.5, limit=5.0), shift=1.0), 1)
        10.3
    """
    return 1.0 / sum(
        1.0 / _one_sided(side * shift - policy.slack, policy.limit) for side in (1.0, -1.0)
    )


def limit_of(values: float, slack: float = 0.5) -> float:
    """The limit at which there is one false alarm in so many *values*, on average.

    >>> round(limit_of(10_000.0), 2)
    8.05

    Raises:
        ValueError: So few values are asked for that any limit is too high.
    """
    from scipy import optimize  # noqa: PLC0415  # a worker has no use for it

    def away(limit: float) -> float:
        return math.log(run_length(CusumPolicy(slack=slack, limit=limit)) / values)

    if not away(1e-6) < 0.0:
        raise ValueError(f"a false alarm in {values:g} values is more than there can be")
    found: float = optimize.brentq(away, 1e-6, 300.0 / slack)
    return found


def _one_sided(drift: float, limit: float) -> float:
    b = limit + OVERSHOOT
    x = -2.0 * drift * b
    if abs(x) < 1e-6:
        return b * b
    return (math.exp(min(x, 700.0)) - x - 1.0) / (2.0 * drift * drift)
