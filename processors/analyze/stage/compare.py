"""How the newest hours compare with the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from processors.analyze.baseline import Kind, aligned
from processors.analyze.samples import negligible, one
from processors.analyze.several import holm
from processors.analyze.stage.ground import baseline, of
from processors.analyze.stage.history import Floats, unpacked
from processors.analyze.stage.policy import Measure
from processors.analyze.stage.state import Ground, Kept
from processors.analyze.stage.view import Finding, View
from processors.analyze.stage.words import amount, by, called
from processors.analyze.trend import Direction, way
from processors.stats.comparison import Interval
from schemas.insight import InsightKind

KINDS = (Kind.INITIAL, Kind.ROLLING, Kind.PEAK, Kind.GOLDEN)
METHODS = {Kind.PEAK: "welch_mann_whitney", Kind.SNAPSHOT: "welch_mann_whitney"}
ALIGNED = "hour_of_week"


class Tested(NamedTuple):
    """A metric beside a baseline of it."""

    measure: Measure
    kept: Kept
    before: float  # means
    after: float
    difference: Interval
    p: float
    samples: int


def comparisons(view: View) -> tuple[list[Finding], frozenset[str]]:
    """The newest hours beside each baseline that is wholly of the time before them.

    Initial, rolling and golden ones by the same hours of the week (`baseline.aligned`); the peak,
    a day, as it is (`samples.one`). Of one baseline p-values hold for all metrics together (Holm).

    Returns:
        What differs, or is known not to; and the keys of all that was compared.
    """
    first = max(len(view.cells) - view.policy.compared, 0)
    start = view.at(first)
    found: list[Finding] = []
    compared: set[str] = set()
    for kind in KINDS:
        tests = [
            test
            for index, measure in enumerate(view.policy.measures)
            if (kept := _earlier(view.ground, kind, measure.metric.value, start)) is not None
            and (test := _test(view, measure, kept, first, index)) is not None
        ]
        found += told(view, tests, kind.value, start, view.end)
        compared |= {key_of(test, kind.value) for test in tests}
    return found, frozenset(compared)


def _earlier(ground: Ground, kind: Kind, metric: str, start: int) -> Kept | None:
    """The newest version that ends before *start*."""
    for kept in reversed(of(ground, kind, metric)):
        if kept.taken_at <= start or _end(kept) <= start:
            return kept
    return None


def _end(kept: Kept) -> int:
    return kept.start + kept.step * unpacked(kept.values).size


def _test(view: View, measure: Measure, kept: Kept, first: int, index: int) -> Tested | None:
    values = view.cells[first:, index]
    if Kind(kept.kind) is Kind.PEAK:
        return beside(measure, kept, values)
    times = view.at(first) + np.arange(values.size) * view.span.length
    found = aligned(baseline(kept), times, values)
    if found is None:
        return None
    return Tested(
        measure, kept, found.before, found.after, found.difference, found.p, samples=found.hours
    )


def beside(measure: Measure, kept: Kept, values: Floats) -> Tested | None:
    """*values* [n] beside a baseline as it is; None where there are too few, or all are alike."""
    before, after = unpacked(kept.values), values[np.isfinite(values)]
    found = one(measure.metric.value, before[np.isfinite(before)], after)
    if found is None:
        return None
    return Tested(
        measure, kept, found.before, found.after, found.difference, found.p, samples=found.after_n
    )


def key_of(test: Tested, which: str) -> str:
    """As `Finding.key` of what the test may find."""
    return f"{InsightKind.COMPARISON.value}|{test.measure.metric.value}|{which}"


def told(view: View, tests: Sequence[Tested], which: str, start: int, end: int) -> list[Finding]:
    """What the tests of one baseline find of the time from *start* to *end*, ms."""
    if not tests:
        return []
    adjusted = holm(np.array([each.p for each in tests])).tolist()
    found = []
    for test, p in zip(tests, adjusted, strict=True):
        direction = _direction(test, p, view.policy.sure)
        if direction is Direction.INCONCLUSIVE:
            continue
        found.append(_finding(view, test, p, direction, which, (start, end)))
    return found


def _direction(test: Tested, p: float, sure: float) -> Direction:
    """A difference of next to nothing is none, however certain."""
    if negligible(test.difference, test.before, certain=p <= sure):
        return Direction.STABLE
    if p > sure:
        return Direction.INCONCLUSIVE
    return way(test.measure.good, higher=test.difference.value > 0.0)


def _finding(
    view: View, test: Tested, p: float, direction: Direction, which: str, when: tuple[int, int]
) -> Finding:
    metric, kept = test.measure.metric.value, test.kept
    kind = Kind(kept.kind)
    relative = (test.after - test.before) / abs(test.before) if test.before else None
    against = f"the {kind.value} baseline"
    if kind is Kind.SNAPSHOT:
        against = f"the time before rollout {kept.subject}"
    sentence = (
        f"The {called(metric)} is {amount(metric, test.after)} against "
        f"{amount(metric, test.before)} in {against}{by(relative)}: {direction.value}."
    )
    insight = view.insight(
        InsightKind.COMPARISON,
        metric,
        which,
        value=test.after,
        reference=test.before,
        method=METHODS.get(kind, ALIGNED),
        sentence=sentence,
        start=when[0],
        end=when[1],
        direction=direction.value,
        low=test.difference.low,
        high=test.difference.high,
        p=p,
        confidence=1.0 - p,
        subject=f"{kind.value} {kept.version}",
        samples=test.samples,
    )
    wide = test.difference.high - test.difference.low
    return Finding(InsightKind.COMPARISON, metric, which, (insight,), wide)
