"""Anomalies that belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from schemas.anomaly import RANK, Anomaly, Severity

GAP = 600_000  # ms between anomalies of one incident


@dataclass(frozen=True, slots=True)
class Incident:
    """Anomalies near in time, of one service or of one cause."""

    start: int  # ms
    end: int
    severity: Severity  # the worst
    scopes: tuple[str, ...]
    metrics: tuple[str, ...]
    anomalies: tuple[str, ...]  # ids, by time


def join(last: tuple[int, int], anomaly: Anomaly, gap: int) -> tuple[int, int]:
    """The incident of its scope that an anomaly is part of: the last one, or a new one.

    Args:
        last: Start of the last one, and end of its last anomaly, ms; −1 when there was none.
        anomaly: The next.
        gap: ms between anomalies of one incident.

    Returns:
        Start and end of the incident; its start is its name.
    """
    start, end = last
    if start >= 0 and start - gap <= anomaly.end and anomaly.start <= end + gap:
        return start, max(end, anomaly.end)
    return anomaly.start, anomaly.end


def group(
    anomalies: Sequence[Anomaly], causes: Mapping[str, str] | None = None, gap: int = GAP
) -> tuple[Incident, ...]:
    """Incidents by their start; the order of *anomalies* does not matter.

    Two anomalies belong together when no more than *gap* lies between them and they are of one
    service or of one cause; and what belongs to the same belongs together. Withdrawn ones are left
    out.

    Args:
        anomalies: Of any scopes.
        causes: What is held to be the cause, by id of the anomaly, such as "model/gpt-4o".
        gap: ms.
    """
    told = sorted((a for a in anomalies if a.is_anomaly), key=lambda a: (a.start, a.id))
    # What is open by name of what links: the number of a group, and when it was last seen.
    parent = list(range(len(told)))
    last: dict[str, int] = {}
    for at, anomaly in enumerate(told):
        links = [f"service {anomaly.scope.split('/')[0]}"]
        if causes and anomaly.id in causes:
            links.append(f"cause {causes[anomaly.id]}")
        for link in links:
            before = last.get(link)
            if before is not None and anomaly.start - told[before].end <= gap:
                parent[_root(parent, at)] = _root(parent, before)
            if before is None or anomaly.end >= told[before].end:
                last[link] = at
    groups: dict[int, list[Anomaly]] = {}
    for at, anomaly in enumerate(told):
        groups.setdefault(_root(parent, at), []).append(anomaly)
    return tuple(sorted((_incident(each) for each in groups.values()), key=lambda i: i.start))


def _root(parent: list[int], at: int) -> int:
    while parent[at] != at:
        at = parent[at]
    return at


def _incident(anomalies: Sequence[Anomaly]) -> Incident:
    return Incident(
        start=anomalies[0].start,
        end=max(a.end for a in anomalies),
        severity=max((a.severity for a in anomalies), key=RANK.__getitem__),
        scopes=tuple(sorted({a.scope for a in anomalies})),
        metrics=tuple(sorted({a.metric for a in anomalies})),
        anomalies=tuple(a.id for a in anomalies),
    )
