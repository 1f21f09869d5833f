"""A step as it goes on: the entries of the state, what was touched, what is to be published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from processors.analyze.stage.policy import AnalyzePolicy
from processors.analyze.stage.state import AnalyzeEntry, Ground, Models, Offer, Past
from processors.predict.history import Memory
from schemas.flow import Moment
from schemas.insight import Insight

OFFERS, MEMORY = "*|offers", "*|memory"


@dataclass(slots=True)
class Batch:
    """One step as it goes on; gone when it ends."""

    policy: AnalyzePolicy
    moment: Moment
    entries: dict[str, AnalyzeEntry]
    touched: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    insights: list[Insight] = field(default_factory=list)

    def past(self, scope: str, window: str) -> Past:
        """The windows of a scope; none where they are of other metrics than are looked at now."""
        entry = self.entries.get(f"{scope}|{window}")
        past = None if entry is None else entry.past
        if past is None or past.columns != self.policy.columns:
            return Past(columns=self.policy.columns)
        return past

    def ground(self, scope: str) -> Ground:
        """What a scope's past is held against."""
        entry = self.entries.get(f"{scope}|ground")
        return (None if entry is None else entry.ground) or Ground()

    def models(self, scope: str) -> Models:
        """The models of a scope."""
        entry = self.entries.get(f"{scope}|models")
        return (None if entry is None else entry.models) or Models()

    @property
    def offers(self) -> Mapping[str, Offer]:
        """The models of the partition."""
        entry = self.entries.get(OFFERS)
        return (None if entry is None else entry.offers) or {}

    @property
    def memory(self) -> Memory:
        """What came of the changes in the partition."""
        entry = self.entries.get(MEMORY)
        return (None if entry is None else entry.memory) or Memory()

    def say(self, news: Sequence[Insight]) -> None:
        """Publish, and count."""
        self.insights += news
        for each in news:
            self.counts["insights" if each.holds else "withdrawn"] += 1

    def put(self, key: str, entry: AnalyzeEntry) -> None:
        """The next value of an entry."""
        self.entries[key] = entry
        self.touched.add(key)
