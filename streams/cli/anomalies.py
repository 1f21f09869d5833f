"""llmopt anomalies: what the detector found, those that belong together as one incident."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from processors.detect.incident import Incident, group
from schemas.anomaly import Anomaly
from schemas.topics import ANOMALIES
from streams.cli import home, show
from streams.cli.help import example
from streams.reading import records
from streams.settings import Settings

SHARED = ("model", "provider")  # dimensions of which services may share a value
TELLING = 0.5  # strength from which a hint is held to be the cause of several scopes
COLUMNS = ("scope", "metric", "severity", "actual", "expected", "σ", "told by", "moved with it")


@click.command()
@click.option("--scope", help="Only of this scope, or of all of this service.")
@click.option(
    "--suppressed", is_flag=True, help="What was to be expected and is not told, and why."
)
@show.newest
@show.as_json
@example("llmopt anomalies --scope search", "llmopt anomalies --suppressed --json")
def anomalies(scope: str | None, *, suppressed: bool, limit: int, machine: bool) -> None:
    """List the values that their own past does not explain, by incident, newest first.

    Anomalies within ten minutes of each other, of one service or of one cause, are one incident.
    What moved with a value is a hint: the model, provider, version or cohort that has more of the
    change than of the traffic.
    """
    every = _all(home.reached())
    found = [
        each
        for each in every
        if scope is None or each.scope == scope or each.scope.split("/", 1)[0] == scope
    ]
    if suppressed:
        expected = [each for each in reversed(found) if each.suppressed]
        count = sum(bool(each.suppressed) for each in every)
        nothing = _nothing("to be expected", count, scope, every)
        _expected(expected[:limit], nothing, machine=machine)
        return
    incidents = group(found, shared(found))[::-1][:limit]
    by_id = {each.id: each for each in found}
    if machine:
        show.document([document(each, by_id) for each in incidents])
        return
    show.table(
        ("incident", "at", *COLUMNS),
        [
            (name, show.moment(each.start), *_told(each))
            for incident in incidents
            for name, each in _named(incident, [by_id[id_] for id_ in incident.anomalies])
        ],
        empty=_nothing("found", sum(each.is_anomaly for each in every), scope, every),
    )


def _nothing(what: str, count: int, scope: str | None, every: Sequence[Anomaly]) -> str:
    """That a list is empty, and what there is of other scopes."""
    if scope is None or not count:
        return f"Nothing unusual was {what}."
    scopes = {each.scope for each in every}
    known = scopes | {each.split("/", 1)[0] for each in scopes}
    return show.unmatched("anomalies", count, [f"--scope {scope}"], scope, known)


def shared(found: Sequence[Anomaly]) -> dict[str, str]:
    """What is held to be the cause of an anomaly, by its id, where other services may have it."""
    return {
        each.id: f"{each.causes[0].dimension}/{each.causes[0].value}"
        for each in found
        if each.causes and each.causes[0].dimension in SHARED and each.causes[0].strength >= TELLING
    }


def document(incident: Incident, by_id: dict[str, Anomaly]) -> dict[str, Any]:
    """An incident with its anomalies, for programs."""
    return {
        "start": incident.start,
        "end": incident.end,
        "severity": incident.severity,
        "scopes": incident.scopes,
        "metrics": incident.metrics,
        "anomalies": [by_id[id_] for id_ in incident.anomalies],
    }


def _named(incident: Incident, parts: Sequence[Anomaly]) -> list[tuple[str, Anomaly]]:
    """The anomalies of an incident; the first stands beside what there is to say of them all."""
    long = show.lasted(incident.end - incident.start)
    return [(f"{incident.severity} for {long}" if n == 0 else "", e) for n, e in enumerate(parts)]


def _told(each: Anomaly) -> tuple[object, ...]:
    hints = (f"{c.dimension} {c.value} ({100 * c.share:.0f} %)" for c in each.causes[:2])
    return (
        each.scope,
        each.metric,
        each.severity.value,
        each.actual,
        f"{each.expected_low:.4g} to {each.expected_high:.4g}",
        f"{each.deviation:+.1f}",
        each.detector,
        ", ".join(hints),
    )


def _expected(found: Sequence[Anomaly], nothing: str, *, machine: bool) -> None:
    if machine:
        show.document(found)
        return
    show.table(
        ("at", *COLUMNS[:-1], "expected for"),
        [(show.moment(each.start), *_told(each)[:-1], each.suppressed) for each in found],
        empty=nothing,
    )


def _all(settings: Settings) -> list[Anomaly]:
    """Every judgement that was published, each as it stands, by time."""
    found: dict[str, Anomaly] = {}
    with home.codec(settings) as codec:
        for seen in records(settings, codec, ANOMALIES):
            if isinstance(seen.value, Anomaly):
                found[seen.value.id] = seen.value
    return sorted(found.values(), key=lambda each: (each.start, each.id))
