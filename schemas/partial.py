"""Mergeable summaries of some events, column by column: the unit of all aggregation."""

from __future__ import annotations

from dataclasses import dataclass

Key = tuple[str, str, str, str, str, str]
"""(service, endpoint, model, provider, config_version or "", cohort or "")."""

# Fixed-point units, so that no sum depends on the order of adding.
METRICS = (  # name, values per unit of the name
    ("latency_ms", 1_000),  # microseconds
    ("ttft_ms", 1_000),
    ("tokens_input", 1),
    ("tokens_output", 1),
    ("tokens_total", 1),
    ("cached_tokens", 1),
    ("cost_usd", 1_000_000_000),  # nano-dollars
    ("quality", 1_000),  # thousandths of a point
)
REQUEST, FAILED, TIMEOUT = 1, 2, 4  # the flags of a single event
LIMIT = 1 << 40  # every value is below it, so that two limbs hold the squares of half a million
COUNTERS = (
    "requests",
    "success",
    "timeouts",
    "retries",
    "unpriced_requests",
    "unpriced_tokens_input",
    "unpriced_tokens_output",
    "unpriced_cached_tokens",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """n rows, one per key and minute, of what one commit of `collect` read of one task.

    Columns are packed little-endian and row-major. With M = len(METRICS), C = len(COUNTERS):
    `key` i32[n] (index into `keys`), `minute` i64[n] (minutes since the epoch), `counters`
    i64[n, C], `moments` i64[n, M, 4] (count, sum, sum of squares high, low: the sum of squares is
    high · 2³⁶ + low), `extremes` i64[n, M, 2] (min, max; of no meaning where the count is 0),
    `cells` [h] = (row · M + metric) · 2¹⁶ + bucket + 1 ascending, of `cell_bytes` (4, unsigned, or
    8), with `cell_counts` [h], of `count_bytes` each (1, 2 or 4, unsigned, or 8),
    `failures` i64[e] = row · 2¹⁶ + index into `error_types` ascending with `failure_counts` i64[e],
    `units` i64[u] = row · 2¹⁶ + unit bucket, ascending, each once: units with an error.

    Where there is hardly more than one event of a key and minute, a row is a single event, not yet
    summed up. Then there are `widths` u8[M + 1], of the columns of n unsigned integers of so many
    bytes (0 where all are 0, 1, 2, 4, or 8 with a sign) which `figures` has one after another: of
    each metric the value + 1, or 0 where there is none, then the retries; and `flags` u8[n]. The
    columns of sums are empty, `failure_counts` too; a row has one failure and one unit at most.

    `watermark` is the source's own, in ms; `idle` says that it had nothing to read for so long
    that it must not hold windows open. `floor` is its promise, in ms, that no later partial holds
    an event before it. `sources` is how many sources there are in all.
    """

    source: int  # partition of `collect` that this is from
    sources: int
    watermark: int | None  # None: the source has not seen an event yet
    idle: bool
    floor: int | None = None  # None: no one has asked for one yet
    keys: tuple[Key, ...]
    error_types: tuple[str, ...]
    key: bytes
    minute: bytes
    counters: bytes
    moments: bytes
    extremes: bytes
    cells: bytes
    cell_counts: bytes
    failures: bytes
    failure_counts: bytes
    units: bytes
    cell_bytes: int = 8
    count_bytes: int = 8
    widths: bytes = b""
    figures: bytes = b""
    flags: bytes = b""
