"""What happened in one window of event time, per key, and the same enriched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.scope import ALL, scope_of

MINUTE = 60_000
SIZES = {  # name of a window -> its length in ms
    "1m": MINUTE,
    "5m": 5 * MINUTE,
    "15m": 15 * MINUTE,
    "1h": 60 * MINUTE,
    "24h": 1_440 * MINUTE,
    "7d": 10_080 * MINUTE,
}


@dataclass(frozen=True, slots=True)
class Histogram:
    """A sparse log-bucket histogram: `counts[i]` values fell in `buckets[i]`, ascending.

    Bucket b ≥ 0 holds (γ^(b−1), γ^b] of the metric's fixed-point unit (see processors.sketch),
    −1 holds zero.
    """

    buckets: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One numeric metric of a window, in the unit of its name; quantiles within 1 %."""

    count: int
    sum: float
    mean: float
    min: float
    max: float
    stddev: float  # of the sample (n − 1); 0 for one value
    p50: float
    p90: float
    p95: float
    p99: float
    histogram: Histogram = field(default_factory=Histogram)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """Usage that came without a cost, by model, for the enricher to price."""

    model: str
    provider: str
    requests: int
    tokens_input: int
    tokens_output: int
    cached_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowAggregate:
    """All events of one key and one window seen so far.

    A key is (service, endpoint, model, provider, config_version, cohort). The row with model,
    provider, config_version and cohort all `*` pools every key of the scope; it is written after
    the rows that it pools, so that its arrival says that the scope's window is complete.
    """

    service: str
    endpoint: str
    model: str
    provider: str
    config_version: str  # "" when the events carried none
    cohort: str  # "" when the events carried none
    window: str  # a name of SIZES, or of a declared span (schemas.span)
    start: int  # ms, inclusive
    end: int  # ms, exclusive
    revision: int  # 1 for the first record of this window, then strictly up; 0 in a look before
    closed: bool  # the watermark has passed `end`
    watermark: int  # ms, of the partition when this was written
    requests: int
    success: int
    errors: int  # requests − success, timeouts included
    timeouts: int
    retries: int
    errors_by_type: Mapping[str, int] = field(default_factory=dict)
    error_units: tuple[int, ...] = ()  # unit buckets with at least one error, ascending; 1m only
    metrics: Mapping[str, MetricSummary] = field(default_factory=dict)  # absent: no values
    unpriced: tuple[Unpriced, ...] = ()

    @property
    def scope(self) -> str:
        """`service/endpoint`."""
        return scope_of(self.service, self.endpoint)

    @property
    def pooled(self) -> bool:
        """Whether this row is the whole scope, not one of its keys."""
        return self.cohort == ALL

    @property
    def void(self) -> bool:
        """Whether nothing is in it any more: its session has become part of an earlier one."""
        return not (self.requests or self.retries or self.metrics)

    @property
    def record_id(self) -> str:
        """The name that all revisions of this window share."""
        return "|".join(
            (
                self.scope,
                self.model,
                self.provider,
                self.config_version,
                self.cohort,
                self.window,
                str(self.start),
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Unit prices in USD per million tokens, as of a date."""

    input_per_mtok: float
    output_per_mtok: float
    cached_per_mtok: float | None
    source: str  # "catalog" or the price data's name and version


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What the scope's service level objective asks for."""

    p95_latency_ms: float | None = None
    error_rate: float | None = None
    availability: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What is known of a model before it is tried."""

    provider: str
    model: str
    capabilities: tuple[str, ...] = ()
    context_window: int | None = None
    release_date: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichedWindow:
    """A window with what it cost, what it should have been, and who answered.

    `missing` names each enrichment whose source knew nothing; the field itself stays None.
    """

    window: WindowAggregate
    cost_usd: float | None  # reported + priced; None when some usage could not be priced
    cost_per_request_usd: float | None
    price: Price | None = None
    target: Target | None = None
    model_card: ModelCard | None = None
    missing: tuple[str, ...] = ()
