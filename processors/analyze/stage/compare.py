"""How the newest hours compare with the baselines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from processors.analyze.baseline import Kind, alongside
from processors.analyze.baseline.aligned import HOUR, WEEK
from processors.analyze.samples import negligible, one
from processors.analyze.several import holm
from processors.analyze.stage.ground import Ints
from processors.analyze.stage.history import CELL, Floats, unpacked
from processors.analyze.stage.policy import Measure
from processors.analyze.stage.state import Kept
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
    tested = _tests(view, first, start)
    for kind in KINDS:
        tests = tested.get(kind, [])
        found += told(view, tests, kind.value, start, view.end)
        compared |= {key_of(test, kind.value) for test in tests}
    return found, frozenset(compared)


def _tests(view: View, first: int, start: int) -> dict[Kind, list[Tested]]:
    """What can be compared of the windows from *first*, that begins at *start*, on."""
    versions: dict[tuple[str, str], list[Kept]] = defaultdict(list)
    for each in view.ground.baselines:
        versions[each.kind, each.metric].append(each)
    hours = start // HOUR + np.arange(len(view.cells) - first)
    found: dict[Kind, list[Tested]] = defaultdict(list)
    aligned: list[tuple[Kind, Measure, Kept]] = []
    usual: list[Floats] = []
    values: list[Floats] = []
    for kind, (index, measure) in product(KINDS, enumerate(view.policy.measures)):
        kept = _earlier(versions[kind.value, measure.metric.value], start)
        if kept is None:
            continue
        newest = view.cells[first:, index]
        if kind is not Kind.PEAK:
            aligned.append((kind, measure, kept))
            usual.append(_usual(kept, hours))
            values.append(newest)
        elif (test := beside(measure, kept, newest)) is not None:
            found[kind].append(test)
    if aligned:
        rows = alongside(np.array(usual), np.array(values))
        for (kind, measure, kept), row in zip(aligned, rows, strict=True):
            if row is not None:
                figures = (row.before, row.after, row.difference, row.p, row.hours)
                found[kind].append(Tested(measure, kept, *figures))
    return found


def _earlier(versions: Sequence[Kept], start: int) -> Kept | None:
    """The newest version that ends before *start*."""
    for kept in reversed(versions):
        if (
            kept.taken_at <= start
            or kept.start + kept.step * (len(kept.values) // CELL.itemsize) <= start
        ):
            return kept
    return None


def _usual(kept: Kept, hours: Ints) -> Floats:
    """What a baseline of hours has in the same hours of the week, in the mean; NaN for nothing."""
    values = unpacked(kept.values)
    weeks = np.full((-(-values.size // WEEK), WEEK), np.nan)
    weeks.flat[: values.size] = values
    asked: Floats = weeks[:, (hours - kept.start // HOUR) % WEEK]
    there = np.isfinite(asked).sum(axis=0)
    usual: Floats = np.nan_to_num(asked).sum(axis=0) / np.where(there > 0, there, np.nan)
    return usual


def beside(measure: Measure, kept: Kept, values: Floats) -> Tested | None:
    """*values* [n] beside a baseline as it is; None where there are too few, or all are alike."""
    before, after = unpacked(kept.values), values[np.isfinite(values)]
    found = one(measure.metric.value, before[np.isfinite(before)], after, quantiles=())
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
