"""What decisions rest on, besides the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.enrich.price import PRICE_DATA
from schemas.catalog import Catalog
from schemas.insight import FRESH_MS


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidePolicy:
    """The catalog in force, and how much evidence is evidence.

    Raises:
        ValueError: `prices` is other price data than is installed, or a number cannot work.
    """

    catalog: Catalog
    prices: str = PRICE_DATA  # "" for the catalog's prices alone
    min_minutes: int = 10  # of the scope since its stable model changed, for another change
    min_baseline: int = 20  # minutes of the last hour that a baseline needs
    enough_requests: int = 500  # of a model in the scope, before its record replaces expectations
    enough_scores: int = 30  # the same for its quality
    half_life_ms: int = 86_400_000  # after which a model's record counts half
    cost_margin: float = 0.10  # models differ in how much they write; relative
    preference: float = 0.05  # how much dearer a preferred provider or model may be; relative
    strategy: str = "balanced"  # of a change that a person asks for
    quiet_s: int = 900  # a finding without an effect is not recorded more often
    pending_s: int = 900  # how long an unanswered decision counts as being carried out
    regret_s: int = 3600  # how long after its promotion a rollout can be taken back
    anomaly_s: int = 300  # how long an anomaly is news to a condition that does not say
    change_s: int = 3600  # the same of a change point
    # How long after its end (ms) an insight still tells, by its windows' length. A change point
    # tells as long as a condition asks back; a forecast no longer than until its time has come.
    fresh_ms: Mapping[str, int] = field(default_factory=lambda: FRESH_MS)
    significance: float = 0.05  # p-value at which a comparison is significant

    def __post_init__(self) -> None:
        """Refuse price data that is not there, and what would never be true."""
        if self.prices not in ("", PRICE_DATA):
            raise ValueError(f"prices is {self.prices!r}, installed is {PRICE_DATA!r}; install it")
        if any(age <= 0 for age in self.fresh_ms.values()) or self.change_s <= 0:
            raise ValueError("fresh_ms and change_s must be above 0, or no insight ever tells")
        if not 0 < self.significance < 1:
            raise ValueError(f"significance is {self.significance}; give a level between 0 and 1")
