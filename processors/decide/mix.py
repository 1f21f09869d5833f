"""What a scope asks of its model, by its last hour."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import median

from processors.decide.state import ScopeState
from schemas.catalog import Metric
from schemas.scope import ALL

RECENT = 15  # minutes that tell which model serves now


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Means per request over the closed minutes of the last hour; None for no evidence."""

    minutes: int
    requests: float
    requests_per_hour: float
    tokens_input: float
    tokens_output: float
    cached_tokens: float
    longest: float  # most tokens of one request
    cost_per_request_usd: float | None
    quality: float | None
    error_rate: float | None
    p95_latency_ms: float | None  # median of the minutes'
    provider: str  # of the model that serves now, "" when nobody said
    model: str
    version: str
    records: tuple[str, ...]  # record ids of the windows

    @property
    def name(self) -> str:
        """The model as the catalog names it, "" for none."""
        return f"{self.provider}/{self.model}" if self.provider else ""

    def observed(self) -> dict[str, float]:
        """What there is evidence of, for the record."""
        values = {
            "minutes": float(self.minutes),
            "requests": self.requests,
            "requests_per_hour": self.requests_per_hour,
            "tokens_input": self.tokens_input,
            "tokens_output": self.tokens_output,
            "cached_tokens": self.cached_tokens,
            "cost_per_request_usd": self.cost_per_request_usd,
            "quality": self.quality,
            "error_rate": self.error_rate,
            "p95_latency_ms": self.p95_latency_ms,
        }
        return {name: value for name, value in values.items() if value is not None}


def mix_of(state: ScopeState) -> Mix:
    """The mix of a scope; of no minutes all zero and None."""
    minutes = state.minutes
    requests = sum(minute.requests for minute in minutes)
    serving = Counter(m.model for m in minutes[-RECENT:] if m.model)
    # of equals the newest
    name = max(serving, key=lambda n: (serving[n], _last(state, n)), default="")
    provider, _, model = name.partition("/")
    latencies = [v for m in minutes if (v := m.reading(Metric.P95_LATENCY_MS)) is not None]
    per = requests or 1.0
    return Mix(
        minutes=len(minutes),
        requests=requests,
        requests_per_hour=60 * requests / (len(minutes) or 1),
        tokens_input=sum(m.tokens_input for m in minutes) / per,
        tokens_output=sum(m.tokens_output for m in minutes) / per,
        cached_tokens=sum(m.cached_tokens for m in minutes) / per,
        longest=max((m.longest for m in minutes), default=0.0),
        cost_per_request_usd=_mean(state, Metric.COST_PER_REQUEST_USD),
        quality=_mean(state, Metric.QUALITY),
        error_rate=_mean(state, Metric.ERROR_RATE),
        p95_latency_ms=median(latencies) if latencies else None,
        provider=provider,
        model=model,
        version=next((m.version for m in reversed(minutes) if m.model == name), ""),
        records=tuple(record_id(state.scope, minute.start) for minute in minutes),
    )


def record_id(scope: str, start: int) -> str:
    """The name of a pooled minute's record."""
    return "|".join((scope, ALL, ALL, ALL, ALL, "1m", str(start)))


def _last(state: ScopeState, name: str) -> int:
    return max(n for n, minute in enumerate(state.minutes) if minute.model == name)


def _mean(state: ScopeState, metric: Metric) -> float | None:
    """Weighted by requests, of the minutes that know it; None when most requests are in others."""
    known = [(v, m.requests) for m in state.minutes if (v := m.reading(metric)) is not None]
    weight = sum(requests for _, requests in known)
    whole = sum(minute.requests for minute in state.minutes)
    # scores are sampled, so a few minutes with quality speak for all
    if not weight or (metric is not Metric.QUALITY and 2 * weight < whole):
        return None
    return sum(value * requests for value, requests in known) / weight
