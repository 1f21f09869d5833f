"""Windows as rows, many at once: from the columns of their Avro data to those of their table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from schemas.columns import Ints
from schemas.metrictable import VALUES, MetricTable
from sinks import binary, jsontext
from sinks.errors import Refused
from sinks.rows import REPLACEMENT

KEYS = ("model", "provider", "config_version", "cohort")
COUNTS = ("requests", "success", "errors", "timeouts", "retries")
TIMES = ("start", "end", "watermark")
FIRST, LAST = -62_135_596_800_000, 253_402_300_799_999  # ms of the years 1 to 9999
LARGEST = 1 << 63
LATENCY = ("mean", "p50", "p95", "p99")
COLUMNS = (
    *("start_at", "end_at", "watermark", "revision", "closed", *COUNTS),
    *("tokens_input", "tokens_output", *(f"latency_{each}_ms" for each in LATENCY)),
    *("quality_mean", "cost_usd", "cost_per_request_usd"),
    *("scope", "window_name", *KEYS, "service", "endpoint"),
    *("errors_by_type", "price", "target", "model_card", "missing"),
    *("metric_names", "metric_counts", "metric_figures"),
)


def tuples(table: Any) -> binary.Piece:
    """The rows of *table*, a RecordBatch of EnrichedWindow and no slice, as tuples of COLUMNS.

    Raises:
        Refused: One of them cannot be a row, or not in this way.
    """
    try:
        return binary.tuples(_pieces(table))
    except (ValueError, pa.ArrowException) as error:
        raise Refused(str(error)) from error


def newest(table: Any) -> Ints:
    """Which rows of *table* hold the newest revision of their primary key, the first of equals."""
    window = table["window"]
    parts = [clean(window.field(name)) for name in ("service", "endpoint", "window", *KEYS)]
    keys = pc.binary_join_element_wise(*parts, window.field("start").cast(pa.string()), "\0")
    coded = keys.dictionary_encode()
    if len(coded.dictionary) == len(coded):
        return np.arange(len(coded))
    codes = coded.indices.to_numpy()
    order = np.lexsort((-np.arange(len(codes)), window.field("revision").to_numpy(), codes))
    last = np.append(np.diff(codes[order]) != 0, True)
    return np.sort(order[last])


def taken(found: binary.Piece, at: Ints) -> binary.Piece:
    """The tuples *found* that *at*, ascending, names."""
    return found if len(at) == len(found) else found.take(pa.array(at))


def _pieces(table: Any) -> list[binary.Piece]:
    window = table["window"]
    metrics = MetricTable.of(window.field("metrics"))
    sums = [_figure(metrics, name, "sum") for name in ("tokens_input", "tokens_output")]
    means = [
        *(_figure(metrics, "latency_ms", each) for each in LATENCY),
        _figure(metrics, "quality", "mean"),
    ]
    names = {name: clean(window.field(name)) for name in ("service", "endpoint", "window", *KEYS)}
    scope = pc.binary_join_element_wise(names["service"], names["endpoint"], "/")
    documents = [window.field("errors_by_type"), *(table[n] for n in ("price", "target"))]
    documents += [table["model_card"], table["missing"]]
    return [
        binary.opening(len(table), len(COLUMNS)),
        binary.numbers(
            [
                *(_moment(window.field(each)) for each in TIMES),
                window.field("revision").to_numpy(),
                window.field("closed").to_numpy(zero_copy_only=False),
                *(window.field(each).to_numpy() for each in COUNTS),
                *(_whole(each) for each in sums),
            ]
        ),
        binary.doubles(
            [*means, *(_optional(table[n]) for n in ("cost_usd", "cost_per_request_usd"))]
        ),
        *binary.texts(scope),
        *(
            each
            for name in ("window", *KEYS, "service", "endpoint")
            for each in binary.texts(names[name])
        ),
        *(each for column in documents for each in binary.texts(jsontext.texts(column))),
        *binary.texts_of(metrics.bounds, clean(pa.array(metrics.names, pa.string())), metrics.name),
        *binary.numbers_of(metrics.bounds, metrics.count),
        *binary.numbers_of(metrics.bounds * len(VALUES), metrics.values.T.reshape(-1)),
    ]


def clean(column: Any) -> Any:  # Arrow array of strings
    """*column* without the character that Postgres does not take."""
    data = column.buffers()[2]
    if data is None or 0 not in np.frombuffer(data, np.uint8):
        return column
    return pc.replace_substring(column, "\0", REPLACEMENT)


def _moment(column: Any) -> Ints:
    """Times in ms since 1970 as PostgreSQL has them, in µs since 2000."""
    at: Ints = column.to_numpy()
    if len(at) and (at.min() < FIRST or at.max() > LAST):
        raise ValueError("a time is outside the years 1 to 9999")
    return (at - binary.EPOCH) * 1_000


def _figure(metrics: MetricTable, name: str, value: str) -> binary.Doubles:
    """A figure of the metric *name* of each window, [n], and which have it."""
    n = len(metrics.bounds) - 1
    found, there = np.zeros(n), np.zeros(n, np.bool_)
    if name in metrics.names:
        entries = np.flatnonzero(metrics.name == metrics.names.index(name))
        rows = np.searchsorted(metrics.bounds, entries, "right") - 1
        found[rows] = metrics.values[VALUES.index(value), entries]
        there[rows] = True
    return found, there


def _whole(sums: binary.Doubles) -> Ints:
    """Sums as whole numbers; 0 where there are none."""
    rounded = np.rint(sums[0])
    if not (np.abs(rounded) < LARGEST).all():
        raise ValueError("a sum of tokens is no number of 64 bits")
    return rounded.astype(np.int64)


def _optional(column: Any) -> binary.Doubles:
    there = column.is_valid().to_numpy(zero_copy_only=False)
    return column.fill_null(0.0).to_numpy(), there
