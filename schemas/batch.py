"""Many metric events of one producer in one message, column by column."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricBatch:
    """A columnar batch. (producer_id, epoch, seq) names it once and for all.

    `keys` are rows of (service, endpoint, model, provider, config_version, cohort), "" for an
    absent one of the last two. Columns are packed little-endian, `n` values each: `key` u16,
    `timestamp` i64 ms, `latency_us`, `ttft_us` (−1 absent), `cost_nanousd` (−1 absent) i64,
    `tokens_input`, `tokens_output`, `tokens_total`, `cached_tokens` (−1 absent) i32, `status_code`
    u16, `retry_count` u16, `error_type` u16 (index into `error_types` + 1, 0 for none), `unit`
    u16 (the unit's bucket of 10,000, 65535 for none). `crc` is the CRC-32 of all columns in this
    order.
    """

    producer_id: str
    epoch: int
    seq: int
    n: int
    keys: tuple[tuple[str, str, str, str, str, str], ...]
    error_types: tuple[str, ...]
    key: bytes
    timestamp: bytes
    latency_us: bytes
    ttft_us: bytes
    cost_nanousd: bytes
    tokens_input: bytes
    tokens_output: bytes
    tokens_total: bytes
    cached_tokens: bytes
    status_code: bytes
    retry_count: bytes
    error_type: bytes
    unit: bytes
    crc: int
