"""One look at one resolution of a scope: what it sees, and what it can say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from processors.analyze.baseline import Kind
from processors.analyze.stage.history import Floats, table
from processors.analyze.stage.policy import AnalyzePolicy, Span
from processors.analyze.stage.series import Series
from processors.analyze.stage.state import Ground, Past
from schemas.insight import Insight, InsightKind, LikelyCause

SNAPSHOT = f"{Kind.SNAPSHOT.value} "  # before its version


@dataclass(frozen=True, slots=True)
class View:
    """The windows of one length up to the newest, as numbers."""

    policy: AnalyzePolicy
    span: Span
    scope: str
    past: Past
    ground: Ground
    cells: Floats  # [n, measures], NaN for gaps
    series: tuple[Series, ...] = ()  # of the metrics of which enough is known

    @classmethod
    def of(
        cls,
        policy: AnalyzePolicy,
        span: Span,
        scope: str,
        past: Past,
        ground: Ground,
        series: tuple[Series, ...] = (),
    ) -> View:
        """Look at a past that has a window."""
        cells = table(past.values, len(policy.measures))
        return cls(policy, span, scope, past, ground, cells, series)

    @property
    def end(self) -> int:
        """Of the newest window, ms."""
        return self.past.newest + self.span.length

    @property
    def begin(self) -> int:
        """Of the oldest window, ms."""
        return self.at(0)

    @property
    def kept(self) -> frozenset[str]:
        """The snapshots that there are."""
        kinds = (each for each in self.ground.baselines if each.kind == Kind.SNAPSHOT.value)
        return frozenset(f"{SNAPSHOT}{each.version}" for each in kinds)

    def at(self, row: int) -> int:
        """The start of a window, ms; rows after the last are of windows to come."""
        return self.past.newest - (len(self.cells) - 1 - row) * self.span.length

    def insight(
        self,
        kind: InsightKind,
        metric: str,
        which: str,
        *,
        value: float,
        reference: float | None,
        method: str,
        sentence: str,
        start: int | None = None,
        end: int | None = None,
        at: int | None = None,
        direction: str,
        low: float | None = None,
        high: float | None = None,
        p: float | None = None,
        confidence: float,
        subject: str = "",
        causes: tuple[LikelyCause, ...] = (),
        samples: int,
    ) -> Insight:
        """A finding that was not said yet; of the whole span where nothing else is told."""
        name = "|".join(filter(None, (self.scope, kind.value, metric, self.span.window, which)))
        end = self.end if end is None else end
        change = value * (self.end - self.begin) / 3_600_000 if kind is InsightKind.TREND else None
        return Insight(
            id=name,
            scope=self.scope,
            kind=kind,
            metric=metric,
            window=self.span.window,
            start=self.begin if start is None else start,
            end=end,
            revision=0,
            holds=True,
            at=end if at is None else at,
            direction=direction,
            value=value,
            reference=reference,
            low=low,
            high=high,
            relative=_relative(value, reference, change),
            p=p,
            confidence=min(max(confidence, 0.0), 1.0),
            subject=subject,
            causes=causes,
            method=method,
            samples=samples,
            sentence=sentence,
        )


@dataclass(frozen=True, slots=True)
class Finding:
    """What a look found of one thing; several insights are said together, or none of them."""

    kind: InsightKind
    metric: str
    which: str  # tells apart those of one kind and metric
    insights: Sequence[Insight]
    wide: float  # the width of the range: how far the value may move before it is said again
    place: int = 0  # ms: of what lies at a time

    @property
    def key(self) -> str:
        """As `Past.said` has it."""
        return f"{self.kind.value}|{self.metric}|{self.which}"


def _relative(value: float, reference: float | None, change: float | None) -> float | None:
    if not reference:
        return None
    found = (value - reference if change is None else change) / abs(reference)
    return found if abs(found) < 1e12 else None
