"""A table of events, judged and turned into columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from schemas.avrorows import Rows
from schemas.columns import ABSENT, NO_UNIT, Decoded, EventColumns, Ints, Rejected
from schemas.errors import Reason
from schemas.hashing import buckets, identities
from schemas.partial import METRICS, Key
from schemas.scope import reserved
from schemas.verdicts import Bools, Verdicts

REQUIRED = ("service", "endpoint", "model", "provider")
DIMENSIONS = (*REQUIRED, "config_version", "cohort")
LONGEST = 256  # characters of any string but these
LENGTHS = {"error_type": 128}
MOST_ENTRIES = 32  # of a map
AHEAD = 300_000  # ms that a producer's clock may be ahead of ours
STATUS = (100, 599)
MOST = {  # above it, a value cannot be meant; in the unit of its name
    "latency_ms": 3_600_000,
    "time_to_first_token_ms": 3_600_000,
    "tokens_input": 10_000_000,
    "tokens_output": 10_000_000,
    "tokens_total": 10_000_000,
    "cached_tokens": 10_000_000,
    "cost_usd": 1_000,
    "retry_count": 1_000,
    "overall": 100,
    "dimensions": 100,
    "confidence": 1,
}
UNITS = dict(METRICS)
PLACES = {name: i for i, (name, _) in enumerate(METRICS)}
COLUMNS = {  # field -> metric
    "latency_ms": "latency_ms",
    "time_to_first_token_ms": "ttft_ms",
    "tokens_input": "tokens_input",
    "tokens_output": "tokens_output",
    "tokens_total": "tokens_total",
    "cached_tokens": "cached_tokens",
    "cost_usd": "cost_usd",
    "overall": "quality",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """What timestamps are checked against."""

    now: int  # ms since the epoch
    retention: int  # ms

    def judge(self, verdicts: Verdicts, timestamp: Ints) -> None:
        """Reject what is older than the retention or further ahead than clocks differ."""
        oldest, newest = self.now - self.retention, self.now + AHEAD
        verdicts.below(timestamp, oldest, Reason.TOO_OLD, f"timestamp is before {oldest}")
        verdicts.above(timestamp, newest, Reason.IN_THE_FUTURE, f"timestamp is after {newest}")


def events(rows: Rows, clock: Clock) -> Decoded:
    """The rows that keep all rules, as columns, and the messages that do not.

    A message of many events is taken whole or not at all.
    """
    table, message = rows.table, rows.message
    verdicts = Verdicts(len(table))
    judge(verdicts, table, clock)
    table, message, rejected = _without(verdicts, table, message)
    found = columns(table, message)
    verdicts = Verdicts(len(table))
    for index, key in enumerate(found.keys):  # few, where rows are many
        why = reserved(*key)
        if why is not None:
            verdicts.reject(found.key == index, Reason.RESERVED_NAME, why)
    table, message, others = _without(verdicts, table, message)
    if others:
        found = columns(table, message)
    return Decoded(found, (*rows.rejected, *rejected, *others))


def _without(
    verdicts: Verdicts, table: Any, message: Ints
) -> tuple[Any, Ints, tuple[Rejected, ...]]:  # RecordBatch
    """The rows of the messages that *verdicts* does not reject, and the rejected ones."""
    rejected = tuple(verdicts.messages(message))
    if rejected:
        keep = ~np.isin(message, [r.message for r in rejected])
        table, message = table.filter(pa.array(keep)), message[keep]
    return table, message, rejected


def judge(verdicts: Verdicts, table: Any, clock: Clock) -> None:  # RecordBatch
    """Reject the rows that break a rule, in the order of the rules."""
    for name in REQUIRED:
        verdicts.below(_sizes(table.column(name)), 1, Reason.EMPTY_NAME, f"{name} is empty")
    for field in table.schema:
        if pa.types.is_string(field.type):
            _judge_lengths(verdicts, field.name, table.column(field.name))
        elif pa.types.is_map(field.type):
            _judge_entries(verdicts, field.name, table.column(field.name))
    _judge_numbers(verdicts, table)
    if "status_code" in table.schema.names:
        judge_status(verdicts, table.column("status_code").to_numpy())
    clock.judge(verdicts, table.column("timestamp").to_numpy())


def _judge_numbers(verdicts: Verdicts, table: Any) -> None:  # RecordBatch
    numbers: list[tuple[str, npt.NDArray[Any]]] = []
    for field in table.schema:
        column = table.column(field.name)
        if field.name not in MOST or column.null_count == len(column):
            continue
        bounds = (
            _bounds(column) if pa.types.is_map(field.type) else (_filled(column, 0).to_numpy(),)
        )
        numbers += [(field.name, values) for values in bounds]
    for i, (name, values) in enumerate(numbers):
        if not np.isfinite(values.min(initial=0)) or not np.isfinite(values.max(initial=0)):
            finite = np.isfinite(values)
            verdicts.reject(~finite, Reason.NOT_FINITE, f"{name} is not a finite number")
            numbers[i] = name, np.where(finite, values, 0)
    for name, values in numbers:
        verdicts.below(values, 0, Reason.NEGATIVE, f"{name} is negative")
    for name, values in numbers:
        detail = f"{name} is above {MOST[name]}"
        verdicts.above(values, MOST[name], Reason.OUT_OF_RANGE, detail)


def judge_status(verdicts: Verdicts, status: npt.NDArray[Any]) -> None:
    """Reject what is no HTTP status."""
    detail = f"status_code is not within {STATUS[0]} and {STATUS[1]}"
    verdicts.below(status, STATUS[0], Reason.OUT_OF_RANGE, detail)
    verdicts.above(status, STATUS[1], Reason.OUT_OF_RANGE, detail)


def columns(table: Any, message: Ints) -> EventColumns:  # RecordBatch
    """The columns of rows that keep all rules."""
    n = len(table)
    names = set(table.schema.names)
    values = np.full((n, len(METRICS)), ABSENT, np.int64)
    for name, metric in COLUMNS.items():
        if name not in names or table.column(name).null_count == n:
            continue
        column = table.column(name)
        scaled = _filled(column, 0).to_numpy()
        if scaled.dtype == np.float64:
            scaled = np.rint(scaled * UNITS[metric]).astype(np.int64)
        if column.null_count:
            scaled = np.where(_valid(column), scaled, ABSENT)
        values[:, PLACES[metric]] = scaled
    key, keys = interned([table.column(name) for name in DIMENSIONS])
    common = {
        "message": message,
        "timestamp": table.column("timestamp").to_numpy(),
        "key": key,
        "keys": keys,
        "values": values,
    }
    if "status_code" in names:
        return _requests(table, common)
    return EventColumns(
        **common,
        request=np.zeros(n, np.bool_),
        failed=np.zeros(n, np.bool_),
        timeout=np.zeros(n, np.bool_),
        retries=np.zeros(n, np.int64),
        error_type=np.full(n, ABSENT, np.int64),
        error_types=(),
        unit=np.full(n, NO_UNIT, np.int64),
        identity=_identity(table, ("quality", table.column("request_id"), table.column("method"))),
    )


def _requests(table: Any, common: Mapping[str, Any]) -> EventColumns:
    """The columns that only a request has, beside those of every event."""
    n = len(table)
    total = common["values"][:, PLACES["tokens_total"]]
    parts = common["values"][:, [PLACES["tokens_input"], PLACES["tokens_output"]]]
    np.copyto(total, parts.sum(axis=1), where=total == ABSENT)
    error_type, error_types = named(table.column("error_type"))
    status = table.column("status_code").to_numpy()
    failed, timeout = outcome(status, error_type, error_types)
    unit = np.full(n, NO_UNIT, np.int64)
    rows = np.flatnonzero(failed)
    if len(rows):
        at = pa.array(rows)
        ids = [_present(table.column(f).take(at)) for f in ("unit_id", "trace_id", "request_id")]
        chosen = pc.coalesce(*ids)
        known = _valid(chosen)
        unit[rows[known]] = buckets(chosen.drop_null(), "unit")
    return EventColumns(
        **common,
        request=np.ones(n, np.bool_),
        failed=failed,
        timeout=timeout,
        retries=table.column("retry_count").to_numpy(),
        error_type=error_type,
        error_types=error_types,
        unit=unit,
        identity=_identity(table, (table.column("request_id"),)),
    )


def outcome(
    status: npt.NDArray[Any], error_type: Ints, error_types: Sequence[str]
) -> tuple[Bools, Bools]:
    """Which requests failed, and which of them by running out of time.

    Args:
        status: [n], HTTP status.
        error_type: [n], index into *error_types*, ABSENT for none.
        error_types: Names of errors.
    """
    failed = (status < 200) | (status > 299) | (error_type != ABSENT)
    timeout = (status == 408) | (status == 504)
    if "timeout" in error_types:
        timeout |= error_type == error_types.index("timeout")
    return failed, timeout


def interned(dimensions: Sequence[Any]) -> tuple[Ints, tuple[Key, ...]]:
    """Each row's key as an index into the distinct keys.

    Args:
        dimensions: The six parts of the keys, Arrow string arrays [n]; null counts as "".
    """
    code: Ints = np.zeros(len(dimensions[0]), np.int64)
    size = 1
    for part in dimensions:
        coded = _filled(part, "").dictionary_encode()
        if size * (len(coded.dictionary) + 1) >= 1 << 62:
            code, _, size = _dense(code)
        code = code * len(coded.dictionary) + coded.indices.to_numpy()
        size *= max(1, len(coded.dictionary))
    code, first, _ = _dense(code)
    parts = [_filled(part, "").take(pa.array(first)).to_pylist() for part in dimensions]
    return code, tuple(zip(*parts, strict=True))


def named(column: Any) -> tuple[Ints, tuple[str, ...]]:  # Arrow string array
    """Each row's name as an index into the distinct names; null and "" are ABSENT."""
    if column.null_count == len(column):
        return np.full(len(column), ABSENT, np.int64), ()
    coded = _present(column).dictionary_encode()
    codes = coded.indices.fill_null(ABSENT).to_numpy().astype(np.int64)
    return codes, tuple(coded.dictionary.to_pylist())


def _dense(code: Ints) -> tuple[Ints, Ints, int]:
    """The codes numbered in the order that they appear, the first row of each, and how many."""
    coded = pa.array(code).dictionary_encode()
    dense = coded.indices.to_numpy().astype(np.int64)
    first = np.empty(len(coded.dictionary), np.int64)
    first[dense[::-1]] = np.arange(len(code) - 1, -1, -1)
    return dense, first, len(first)


def _identity(table: Any, parts: Sequence[Any]) -> npt.NDArray[np.uint64]:
    """The identity of each row, 0 for one without a request's id."""
    request = table.column("request_id")
    if request.null_count == len(request):
        return np.zeros(len(request), np.uint64)
    found = identities(p if isinstance(p, str) else _filled(p, "") for p in parts)
    return np.where(_sizes(request) > 0, found, np.uint64(0))


def _present(column: Any) -> Any:  # Arrow string array
    """The same with null for the empty string."""
    if column.null_count == len(column) or _sizes(column).min(initial=1) > 0:
        return column
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _filled(column: Any, value: str | float) -> Any:  # Arrow array
    """The same with *value* for null."""
    return column.fill_null(value) if column.null_count else column


def _valid(column: Any) -> Bools:  # Arrow array
    valid: Bools = column.is_valid().to_numpy(zero_copy_only=False)
    return valid


def _sizes(column: Any) -> Ints:  # Arrow string array
    """Bytes of each string; 0 for null."""
    offsets = column.buffers()[1]
    if not len(column) or offsets is None:
        return np.zeros(len(column), np.int64)
    ends = np.frombuffer(offsets, np.int32, len(column) + 1, column.offset * 4)
    return np.diff(ends).astype(np.int64)


def _judge_lengths(verdicts: Verdicts, name: str, column: Any) -> None:
    limit = LENGTHS.get(name, LONGEST)
    if _sizes(column).max(initial=0) > limit:
        lengths = pc.utf8_length(column).fill_null(0).to_numpy()
        detail = f"{name} has more than {limit} characters"
        verdicts.above(lengths, limit, Reason.TOO_LONG, detail)


def _judge_entries(verdicts: Verdicts, name: str, column: Any) -> None:
    counts = np.diff(column.offsets.to_numpy())
    detail = f"{name} has more than {MOST_ENTRIES} entries"
    verdicts.above(counts, MOST_ENTRIES, Reason.TOO_LONG, detail)
    rows = np.repeat(np.arange(len(column)), counts)
    for part in (column.keys, column.items):
        if pa.types.is_string(part.type) and _sizes(part).max(initial=0) > LONGEST:
            lengths = np.zeros(len(column), np.int64)
            np.maximum.at(lengths, rows, pc.utf8_length(part).to_numpy())
            detail = f"{name} has a name or value of more than {LONGEST} characters"
            verdicts.above(lengths, LONGEST, Reason.TOO_LONG, detail)


def _bounds(column: Any) -> tuple[npt.NDArray[np.float64], ...]:  # Arrow map array
    """The least (at most 0) and the largest (at least 0) value of each row's entries."""
    rows = np.repeat(np.arange(len(column)), np.diff(column.offsets.to_numpy()))
    least, most = np.zeros((2, len(column)))
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        np.minimum.at(least, rows, column.items.to_numpy())
        np.maximum.at(most, rows, column.items.to_numpy())
    return least, most
