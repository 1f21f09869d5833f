"""What of a look is news: said the first time, said again where it differs, taken back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from processors.analyze.stage.breaks import judged
from processors.analyze.stage.state import Said
from processors.analyze.stage.view import SNAPSHOT, Finding, View
from processors.analyze.stage.words import called
from processors.analyze.trend import Direction
from schemas.insight import FRESH_MS, Insight, InsightKind
from schemas.window import MINUTE

METHODS = {  # of what is taken back
    InsightKind.TREND: "mann_kendall",
    InsightKind.CHANGE_POINT: "segmentation",
    InsightKind.COMPARISON: "welch_mann_whitney",
    InsightKind.PREDICTION: "ensemble",
}


def say(
    view: View, found: Sequence[Finding], tested: frozenset[str] = frozenset()
) -> tuple[Mapping[str, Said], list[Insight]]:
    """Publish what is news.

    Args:
        view: The look, with what was said before.
        found: Everything that holds now.
        tested: Which comparisons and predictions were made, as `Finding.key` of each: of those
            that are not among *found*, what was said is taken back.

    Returns:
        What is said now, and the insights to publish, each with its revision.
    """
    said: dict[str, Said] = {}
    news: list[Insight] = []
    for each in found:
        before = view.past.said.get(each.key)
        if before is not None and before.holds and not _due(view, before, each):
            said[each.key] = before
            continue
        revision = _revision(view, before)
        said[each.key] = _said(each, revision)
        news += [replace(insight, revision=revision) for insight in each.insights]
    for key, before in view.past.said.items():
        if key in said or _forgotten(view, key, before):
            continue
        said[key] = before
        if before.holds and _over(view, key, before, tested):
            said[key] = before._replace(revision=_revision(view, before), holds=False)
            news.append(_withdrawn(view, key, said[key]))
    return dict(sorted(said.items())), news


def _revision(view: View, before: Said | None) -> int:
    """Minutes of the epoch, so that they rise over a reset too; one more within the same look."""
    now = view.end // MINUTE
    return now if before is None else max(now, before.revision + 1)


def _said(found: Finding, revision: int) -> Said:
    told = found.insights[0]
    cause = told.causes[0].id if told.causes else ""
    return Said(revision, told.holds, found.place, told.direction, told.value, found.wide, cause)


def _due(view: View, before: Said, found: Finding) -> bool:
    """Whether it differs, or was said so long ago that nobody counts on it any more.

    A change stays where it is, and is not repeated.
    """
    tells = FRESH_MS[view.span.window] * view.policy.again
    aged = view.end - before.revision * MINUTE >= tells
    change = found.insights[0].kind is InsightKind.CHANGE_POINT
    return (aged and not change) or _differs(view, before, found)


def _differs(view: View, before: Said, found: Finding) -> bool:
    """Whether it lies elsewhere, goes elsewhere, has another cause, or is of another size."""
    now = _said(found, before.revision)
    if (now.place, now.direction, now.cause) != (before.place, before.direction, before.cause):
        return True
    return abs(now.value - before.value) > view.policy.moved * before.wide


def _forgotten(view: View, key: str, said: Said) -> bool:
    """Whether it is about a time that the span does not reach, or a snapshot that is gone."""
    kind, _, which = key.split("|", 2)
    if kind == InsightKind.CHANGE_POINT.value:
        return said.place < view.begin
    return which.startswith(SNAPSHOT) and which not in view.kept


def _over(view: View, key: str, said: Said, tested: frozenset[str]) -> bool:
    """Whether it was judged again and not found."""
    kind = key.partition("|")[0]
    if kind == InsightKind.CHANGE_POINT.value:
        return judged(view, said)
    if kind == InsightKind.TREND.value:
        return True
    return key in tested  # and a forecast is over when its time has come


def _withdrawn(view: View, key: str, said: Said) -> Insight:
    name, metric, which = key.split("|", 2)
    kind = InsightKind(name)
    told = view.insight(
        kind,
        metric,
        which,
        value=said.value,
        reference=None,
        method=METHODS[kind],
        sentence=f"No longer found: the {called(metric)} is not known to be {said.direction}."
        if kind is not InsightKind.PREDICTION
        else f"The {called(metric)} with {which} is not predicted any more.",
        at=said.place or None,
        direction=Direction.INCONCLUSIVE.value,
        confidence=0.0,
        subject=which if kind in (InsightKind.COMPARISON, InsightKind.PREDICTION) else "",
        samples=len(view.cells),
    )
    return replace(told, revision=said.revision, holds=False)
