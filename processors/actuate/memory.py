"""What a scope's windows leave behind: who serves it, how it has been, and its open minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from processors.actuate.policy import ActuatePolicy
from processors.actuate.state import ScopeState, Serving
from processors.actuate.version import versioned
from schemas.config import LlmConfig
from schemas.rollout import Phase
from schemas.window import EnrichedWindow

FADE = 16  # minutes, the memory of who serves a scope
METRICS = ("latency_ms", "cost_usd", "quality")  # that rollouts and triggers are measured by


def remember(policy: ActuatePolicy, entry: ScopeState, row: EnrichedWindow) -> ScopeState:
    """Take in a row that completes no minute.

    A one-minute row of a key counts for who serves the scope, and is kept until its minute is
    complete when it is of a cohort that is judged. A pooled row of 15 minutes or one hour becomes
    the past that the next rollout is measured by if it holds `reference_requests` requests, or if
    it is a whole hour of a scope that has fewer. While traffic is split the past stays as it is,
    so that no candidate is measured by itself.
    """
    window = row.window
    if window.pooled:
        whole = window.window == "1h" and window.closed and window.requests > 0
        split = entry.rollout is not None and entry.rollout.step > 0
        wide = window.window in ("15m", "1h") and window.requests >= policy.reference_requests
        older = entry.past is not None and window.end < entry.past.window.end
        if split or older or not (wide or whole):
            return entry
        return replace(entry, past=_bare(row))
    if window.window != "1m" or not window.closed or window.start < entry.at:
        return entry  # of another size, or of a minute that was complete before
    if window.cohort not in ("candidate", "shadow"):
        seen = Serving(window.provider, window.model, window.requests)
        entry = replace(entry, tally=_add(entry.tally, (seen,)))
    split = entry.rollout is not None and entry.rollout.phase is not Phase.PENDING
    if (split and window.cohort) or (not split and entry.vigil is not None):
        entry = replace(entry, rows=(*entry.rows, row))
    return entry


def complete(entry: ScopeState, end: int) -> ScopeState:
    """Close the minute that ends at *end*: the clock moves on, the rows are let go."""
    faded = (replace(s, weight=s.weight * (FADE - 1) // FADE) for s in entry.serving)
    new = (replace(s, weight=s.weight * FADE) for s in entry.tally)
    serving = tuple(s for s in _add(tuple(faded), tuple(new)) if s.weight > 0)
    return replace(entry, at=end, serving=serving, tally=(), rows=())


def serves(entry: ScopeState) -> LlmConfig | None:
    """What serves the scope: its stable config, else the model that answers most of its traffic."""
    if entry.stable is not None or not entry.serving:
        return entry.stable
    most = max(entry.serving, key=lambda s: (s.weight, s.provider, s.model))
    return versioned(LlmConfig(version="", provider=most.provider, model=most.model))


def _bare(row: EnrichedWindow) -> EnrichedWindow:
    """A row with nothing but what a change is measured by."""
    window = row.window
    kept = {name: window.metrics[name] for name in METRICS if name in window.metrics}
    window = replace(window, errors_by_type={}, error_units=(), metrics=kept, unpriced=())
    cost, each = row.cost_usd, row.cost_per_request_usd
    return EnrichedWindow(window=window, cost_usd=cost, cost_per_request_usd=each)


def _add(one: Sequence[Serving], other: Sequence[Serving]) -> tuple[Serving, ...]:
    """Weights by model, sorted."""
    weights: dict[tuple[str, str], int] = {}
    for s in (*one, *other):
        weights[s.provider, s.model] = weights.get((s.provider, s.model), 0) + s.weight
    return tuple(Serving(*name, weight) for name, weight in sorted(weights.items()))
