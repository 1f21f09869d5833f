"""Columnar batches to columns, all batches of one schema together."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from schemas.avsc import Written
from schemas.batch import COLUMNS, MetricBatch
from schemas.batchdatum import quick
from schemas.codec import FRAME, read, same
from schemas.columns import ABSENT, NO_UNIT, Decoded, EventColumns, Ints, Rejected
from schemas.errors import Reason, Undecodable
from schemas.events import (
    DIMENSIONS,
    LENGTHS,
    LONGEST,
    MOST,
    REQUIRED,
    UNITS,
    Clock,
    judge_status,
    outcome,
)
from schemas.hashing import identity_of
from schemas.partial import METRICS, Key
from schemas.scope import BUCKETS, reserved
from schemas.verdicts import Verdicts

SHORTEST = {"ttft_us": ABSENT, "cost_nanousd": ABSENT, "cached_tokens": ABSENT}
LIMITS = {  # column -> most, in the unit of the column
    "latency_us": MOST["latency_ms"] * UNITS["latency_ms"],
    "ttft_us": MOST["time_to_first_token_ms"] * UNITS["ttft_ms"],
    "cost_nanousd": MOST["cost_usd"] * UNITS["cost_usd"],
    "tokens_input": MOST["tokens_input"],
    "tokens_output": MOST["tokens_output"],
    "tokens_total": MOST["tokens_total"],
    "cached_tokens": MOST["cached_tokens"],
    "retry_count": MOST["retry_count"],
}
PLACES = (  # the columns in the order of METRICS; a batch has no quality
    "latency_us",
    "ttft_us",
    "tokens_input",
    "tokens_output",
    "tokens_total",
    "cached_tokens",
    "cost_nanousd",
)


def unbatch(
    written: Written,
    values: Sequence[bytes],
    message: Ints,
    clock: Clock,
    *,
    sound: bool = False,
) -> Decoded:
    """The events of the framed MetricBatch messages *values*.

    Args:
        written: The schema that they were written with.
        values: The messages.
        message: [n], the index of each.
        clock: What timestamps are checked against.
        sound: Whether schemas.faults has found nothing wrong with any of them.
    """
    batches: list[Mapping[str, Any]] = []
    kept: list[int] = []
    rejected: list[Rejected] = []
    for name, value in zip(message.tolist(), values, strict=True):
        try:
            batch = _batch(written, value)
            if not sound:
                inspect(batch)
        except Undecodable as error:
            rejected.append(Rejected(name, error.reason, error.detail))
        else:
            batches.append(batch)
            kept.append(name)
    message = np.array(kept, np.int64)
    if not sound and (broken := _broken(batches, message, clock)):
        rejected += broken
        names = {each.message for each in broken}
        keep = [i for i, name in enumerate(message.tolist()) if name not in names]
        batches, message = [batches[i] for i in keep], message[keep]
    return Decoded(_columns(batches, message), tuple(rejected))


def _batch(written: Written, value: bytes) -> Mapping[str, Any]:
    found = quick(value, FRAME.size) if same(written, MetricBatch) else None
    return read(written, MetricBatch, value, FRAME.size) if found is None else found


def inspect(batch: Mapping[str, Any]) -> None:
    """Check what makes a batch readable.

    Raises:
        Undecodable: BROKEN_BATCH; EMPTY_NAME, TOO_LONG or RESERVED_NAME, for one of its names.
    """
    n, crc = batch["n"], 0
    if n < 1:
        raise Undecodable(Reason.BROKEN_BATCH, f"n is {n}")
    for column, kind in COLUMNS.items():
        if len(batch[column]) != n * np.dtype(kind).itemsize:
            detail = f"{column} has {len(batch[column])} bytes, not {n} values of {kind}"
            raise Undecodable(Reason.BROKEN_BATCH, detail)
        crc = zlib.crc32(batch[column], crc)
    if crc != batch["crc"]:
        raise Undecodable(Reason.BROKEN_BATCH, "crc is not that of the columns")
    _inspect_names(batch["keys"], batch["error_types"])
    for column, most, spare in (
        ("key", len(batch["keys"]) - 1, None),
        ("error_type", len(batch["error_types"]), None),
        ("unit", BUCKETS - 1, NO_UNIT),
    ):
        found = np.frombuffer(batch[column], COLUMNS[column])
        if found.max() > most and ((found > most) & (found != spare)).any():
            raise Undecodable(Reason.BROKEN_BATCH, f"{column} has an index above {most}")


def _inspect_names(keys: Sequence[Sequence[str]], error_types: Sequence[str]) -> None:
    for key in keys:
        fault = _fault(tuple(key))
        if fault is not None:
            raise Undecodable(*fault)
    for name in error_types:
        if not name:
            raise Undecodable(Reason.EMPTY_NAME, "error_type is empty")
        if len(name) > LENGTHS["error_type"]:
            detail = f"error_type has more than {LENGTHS['error_type']} characters"
            raise Undecodable(Reason.TOO_LONG, detail)


@lru_cache(1 << 17)
def _fault(key: tuple[str, ...]) -> tuple[Reason, str] | None:
    """What is wrong with a key, if anything is."""
    if len(key) != len(DIMENSIONS):
        return Reason.BROKEN_BATCH, f"a key has {len(key)} parts"
    for name, part in zip(DIMENSIONS, key, strict=True):
        if not part and name in REQUIRED:
            return Reason.EMPTY_NAME, f"{name} is empty"
        if len(part) > LONGEST:
            return Reason.TOO_LONG, f"{name} has more than {LONGEST} characters"
    why = reserved(*key)
    return None if why is None else (Reason.RESERVED_NAME, why)


def _raw(batches: Sequence[Mapping[str, Any]]) -> dict[str, Ints]:
    """Each column of all batches."""
    return {
        name: np.frombuffer(b"".join(batch[name] for batch in batches), kind).astype(np.int64)
        for name, kind in COLUMNS.items()
    }


def _broken(
    batches: Sequence[Mapping[str, Any]], message: Ints, clock: Clock
) -> tuple[Rejected, ...]:
    """The batches with an event that breaks a rule."""
    sizes = np.array([batch["n"] for batch in batches], np.int64)
    rows, raw = np.repeat(message, sizes), _raw(batches)
    verdicts = Verdicts(len(rows))
    for name in LIMITS:
        least = SHORTEST.get(name, 0)
        verdicts.below(raw[name], least, Reason.NEGATIVE, f"{name} is negative")
    for name, most in LIMITS.items():
        verdicts.above(raw[name], most, Reason.OUT_OF_RANGE, f"{name} is above {most}")
    judge_status(verdicts, raw["status_code"])
    clock.judge(verdicts, raw["timestamp"])
    return verdicts.messages(rows)


def _columns(batches: Sequence[Mapping[str, Any]], message: Ints) -> EventColumns:
    sizes = np.array([batch["n"] for batch in batches], np.int64)
    rows, raw = np.repeat(message, sizes), _raw(batches)
    keys: dict[Key, int] = {}
    errors: dict[str, int] = {}
    key_of: list[int] = []
    error_of = [ABSENT]
    key_from, error_from = [], []
    for batch in batches:
        key_from.append(len(key_of))
        error_from.append(len(error_of) - 1)
        key_of += [keys.setdefault(tuple(key), len(keys)) for key in batch["keys"]]
        error_of += [errors.setdefault(e, len(errors)) for e in batch["error_types"]]
    key = np.array(key_of, np.int64)[raw["key"] + np.repeat(np.array(key_from, np.int64), sizes)]
    shifted = raw["error_type"] + np.repeat(np.array(error_from, np.int64), sizes)
    error = np.array(error_of, np.int64)[np.where(raw["error_type"] > 0, shifted, 0)]
    failed, timeout = outcome(raw["status_code"], error, tuple(errors))
    values = np.full((len(rows), len(METRICS)), ABSENT, np.int64)
    for place, name in enumerate(PLACES):
        values[:, place] = raw[name]
    ids = [identity_of(b["producer_id"], str(b["epoch"]), str(b["seq"])) for b in batches]
    return EventColumns(
        message=rows,
        timestamp=raw["timestamp"],
        key=key,
        keys=tuple(keys),
        values=values,
        request=np.ones(len(rows), np.bool_),
        failed=failed,
        timeout=timeout,
        retries=raw["retry_count"],
        error_type=error,
        error_types=tuple(errors),
        unit=np.where(failed, raw["unit"], NO_UNIT),
        identity=np.repeat(np.array(ids, np.uint64), sizes),
    )
