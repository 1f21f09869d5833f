"""What decisions rest on, besides the catalog."""

from __future__ import annotations

from dataclasses import dataclass

from processors.enrich.price import PRICE_DATA
from schemas.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class DecidePolicy:
    """The catalog in force, and how much evidence is evidence.

    Raises:
        ValueError: `prices` is other price data than is installed.
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

    def __post_init__(self) -> None:
        """Refuse price data that is not there."""
        if self.prices not in ("", PRICE_DATA):
            raise ValueError(f"prices is {self.prices!r}, installed is {PRICE_DATA!r}; install it")
