"""One LLM request, as its application saw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvent:
    """What one LLM request did. Times are ms, `timestamp` is ms since the epoch, UTC."""

    timestamp: int
    service: str
    endpoint: str
    model: str
    provider: str
    latency_ms: float
    tokens_input: int
    tokens_output: int
    tokens_total: int | None = None  # input + output when absent
    cost_usd: float | None = None  # priced by the enricher when absent
    status_code: int = 200
    error_type: str | None = None
    retry_count: int = 0
    config_version: str | None = None
    cohort: str | None = None
    request_id: str | None = None
    trace_id: str | None = None
    unit_id: str | None = None
    time_to_first_token_ms: float | None = None
    cached_tokens: int | None = None
    region: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
