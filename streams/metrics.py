"""Every metric there is: its name, its labels, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram, start_http_server

Seconds = Literal["commit_seconds", "takeover_seconds", "propagation_seconds"]
Count = Literal["retakes_total", "acks_total", "snapshots_total"]

EVENTS = Counter(
    "llmopt_events_total",
    "What became of what a stage read; read = aggregated + late + dead_lettered + duplicates.",
    ["stage", "outcome"],
)
DURATIONS: Mapping[Seconds, Histogram] = {
    "commit_seconds": Histogram(
        "llmopt_commit_seconds",
        "One transaction of a stage, from begin to committed.",
        ["stage"],
        buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 10),
    ),
    "takeover_seconds": Histogram(
        "llmopt_takeover_seconds",
        "From being assigned partitions to reading on.",
        ["stage"],
        buckets=(0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
    ),
    "propagation_seconds": Histogram(
        "llmopt_propagation_seconds",
        "From a config's decision to an application's acknowledgement.",
        ["stage"],
        buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 30),
    ),
}
COUNTS: Mapping[Count, Counter] = {
    "retakes_total": Counter(
        "llmopt_retakes_total", "A stage lost its producer or group and started over.", ["stage"]
    ),
    "acks_total": Counter(
        "llmopt_acks_total", "Configs that applications said they applied.", ["stage"]
    ),
    "snapshots_total": Counter(
        "llmopt_snapshots_total", "Copies of a partition's state, for replays.", ["stage"]
    ),
}
PROGRESS = Gauge(
    "llmopt_last_round_timestamp_seconds", "When a stage last finished a round.", ["stage"]
)


def observe(name: Seconds, seconds: float, *, stage: str) -> None:
    """Add one duration."""
    DURATIONS[name].labels(stage).observe(seconds)


def count(name: Count, *, stage: str) -> None:
    """Count one."""
    COUNTS[name].labels(stage).inc()


def count_outcome(stage: str, counts: Mapping[str, int]) -> None:
    """Add the counts of a committed step."""
    for outcome, number in counts.items():
        EVENTS.labels(stage, outcome).inc(number)


class PortTaken(Exception):
    """Nothing can be answered at a port; the sentence says why. Choose another."""


def serve(port: int) -> None:
    """Answer Prometheus on *port*.

    Raises:
        PortTaken: something else answers there, or it needs rights that the worker lacks.
    """
    try:
        start_http_server(port)
    except OSError as error:
        why = error.strerror or str(error)
        said = f"--metrics-port {port} cannot be used ({why}): choose another"
        raise PortTaken(said) from error
