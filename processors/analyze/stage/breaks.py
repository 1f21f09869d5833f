"""Where metrics changed for good, and what may be why."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from processors.analyze.cause import Event, causes
from processors.analyze.change_points import Change, changes
from processors.analyze.stage.series import Series
from processors.analyze.stage.state import Said
from processors.analyze.stage.view import Finding, View
from processors.analyze.stage.words import amount, by, called
from processors.analyze.trend import way
from schemas.insight import InsightKind, LikelyCause

KIND = InsightKind.CHANGE_POINT


def breaks(view: View) -> list[Finding]:
    """The changes of level that are certain, of metrics of which enough is known.

    What repeats is no change, and is taken off before. They are looked for only where the sums of
    Page show that a metric has moved at all (`series.worthwhile`), or where a change was said that
    may still be judged again.
    """
    found: list[Finding] = []
    for series in view.series:
        said = _said(view, series.measure.metric.value)
        if said or series.moved:
            found += _changes(view, series, said)
    return found


def judged(view: View, said: Said) -> bool:
    """Whether a change may still be judged again: it lies in the newer part of the span."""
    return said.place > settled(view)


def settled(view: View) -> int:
    """Up to when changes stand as they were said, ms: too little is left of the time before."""
    return view.begin + round(view.policy.settled * len(view.cells)) * view.span.length


def _said(view: View, metric: str) -> list[tuple[int, Said]]:
    """The changes of a metric that were said and may be judged again, by where they were first."""
    return [
        (int(which), said)
        for (kind, name, which), said in (
            (key.split("|", 2), said) for key, said in view.past.said.items()
        )
        if kind == KIND.value and name == metric and judged(view, said)
    ]


def _changes(view: View, series: Series, said: Sequence[tuple[int, Said]]) -> list[Finding]:
    told = changes(series.plain, view.policy.segmenting)
    ends = [0, *(each.index for each in told), series.plain.size]
    levels = [float(series.plain[a:b].mean()) for a, b in pairwise(ends)]
    free = [first for first, _ in said]
    found = []
    for change, (before, after) in zip(told, pairwise(levels), strict=True):
        at = view.at(series.first + change.index)
        small = abs(after - before) <= view.policy.little * abs(before)
        if at <= settled(view) or change.p > view.policy.surer or small:
            continue
        # Changes are `shortest` apart, so that no two of them are taken for the same one.
        near = view.policy.segmenting.shortest * view.span.length
        close = [each for each in free if abs(each - at) < near]
        first = min(close, key=lambda each: abs(each - at), default=at)
        free = [each for each in free if each != first]
        found.append(_finding(view, series, change, (first, at), (before, after)))
    return found


def _finding(
    view: View,
    series: Series,
    change: Change,
    places: tuple[int, int],
    levels: tuple[float, float],
) -> Finding:
    measure = series.measure
    metric, (first, at), (before, after) = measure.metric.value, places, levels
    likely = _causes(view, at)
    direction = way(measure.good, higher=after > before)
    relative = (after - before) / abs(before) if before else None
    why = f" Likely cause: {likely[0].what}." if likely else ""
    sentence = (
        f"The {called(metric)} went from {amount(metric, before)} to "
        f"{amount(metric, after)}{by(relative)}: {direction.value}.{why}"
    )
    insight = view.insight(
        KIND,
        metric,
        str(first),
        value=after,
        reference=before,
        method="segmentation",
        sentence=sentence,
        start=view.at(series.first),
        at=at,
        direction=direction.value,
        p=change.p,
        confidence=1.0 - change.p,
        causes=likely,
        samples=series.known,
    )
    return Finding(KIND, metric, str(first), (insight,), abs(after - before), at)


def _causes(view: View, at: int) -> tuple[LikelyCause, ...]:
    """What was rolled out about that time, as far as it was by then."""
    events = [
        Event(f"{each.id}#{each.sequence}", each.phase, view.scope, each.at, each.what)
        for each in view.ground.events
        if view.begin <= each.at < view.end
    ]
    ranked = causes(view.scope, at, view.span.length, events, float(view.end - view.begin))
    return tuple(
        LikelyCause(
            kind=each.event.kind,
            id=each.event.id.rpartition("#")[0],
            at=each.event.at,
            what=each.event.what,
            share=each.share,
        )
        for each in ranked
        if each.share >= view.policy.likely
    )
