"""How the time after a rollout compares with the time before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from processors.analyze.baseline import Kind
from processors.analyze.stage.compare import beside, key_of, told
from processors.analyze.stage.ground import keep, of
from processors.analyze.stage.history import packed
from processors.analyze.stage.state import Ground, Happened, Kept
from processors.analyze.stage.view import SNAPSHOT, Finding, View
from schemas.rollout import Phase


def snapshots(view: View) -> tuple[Ground, list[Finding], frozenset[str]]:
    """Keep the minutes before each rollout; compare them once it is promoted and has settled.

    The time after is as long as the time before, and compared when it is over: one test of each
    metric, whose p-values hold for all of them together (Holm).

    Returns:
        With the snapshots that are new; what differs; the keys of all that was compared.
    """
    ground = view.ground
    for begun in _begun(view):
        ground = _snapshot(replace(view, ground=ground), begun)
    view = replace(view, ground=ground)
    found: list[Finding] = []
    compared: set[str] = set()
    for event in ground.events:
        end = event.at + view.policy.before * view.span.length
        if event.phase != Phase.PROMOTED.value or not view.begin <= event.at <= end <= view.end:
            continue
        rows = _rows(view, event.at, end)
        tests = [
            test
            for index, measure in enumerate(view.policy.measures)
            for kept in of(ground, Kind.SNAPSHOT, measure.metric.value)
            if kept.subject == event.id
            and (test := beside(measure, kept, view.cells[rows, index])) is not None
        ]
        which = f"{SNAPSHOT}{tests[0].kept.version}" if tests else ""
        found += told(view, tests, which, event.at, end)
        compared |= {key_of(test, which) for test in tests}
    return ground, found, frozenset(compared)


def _begun(view: View) -> Sequence[Happened]:
    """The first step of each rollout, as far as it was by then."""
    first: dict[str, Happened] = {}
    for event in view.ground.events:
        if event.at < view.end and event.phase != Phase.ROLLED_BACK.value:
            first.setdefault(event.id, event)
    return [each for each in first.values() if view.begin < each.at]


def _snapshot(view: View, begun: Happened) -> Ground:
    ground = view.ground
    taken = [each for each in ground.baselines if each.kind == Kind.SNAPSHOT.value]
    if any(each.taken_at >= begun.at for each in taken):
        return ground  # of this one, or of a later one: those are kept
    version = 1 + max((each.version for each in taken), default=0)
    oldest = version - view.policy.snapshots
    rows = _rows(view, begun.at - view.policy.before * view.span.length, begun.at)
    for index, measure in enumerate(view.policy.measures):
        values, metric = view.cells[rows, index], measure.metric.value
        if np.isfinite(values).sum() < view.policy.baselines.least:
            continue
        new = Kept(
            Kind.SNAPSHOT.value,
            metric,
            version,
            begun.at,
            view.at(rows.start),
            view.span.length,
            packed(values),
            begun.id,
        )
        kept = [each for each in of(ground, Kind.SNAPSHOT, metric) if each.version > oldest]
        ground = keep(ground, (*kept, new))
    return ground


def _rows(view: View, start: int, end: int) -> slice:
    """The windows wholly within *start* to *end*, ms."""
    first = -(-(start - view.begin) // view.span.length)
    return slice(max(first, 0), max((end - view.begin) // view.span.length, 0))
