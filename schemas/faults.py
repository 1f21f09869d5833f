"""What is wrong with Avro messages that cannot be taken, found for many at once in C.

The way in Python reads each of them by fastavro until that raises, or makes a table of those that
break a rule. It decides what the words are; here they stand beside the codes of `native`.
"""

from __future__ import annotations

from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

import native
from schemas.batch import COLUMNS as PACKED
from schemas.batch import NO_UNIT, MetricBatch
from schemas.codec import BROKEN
from schemas.columns import Ints, Rejected
from schemas.errors import Reason
from schemas.events import (
    AHEAD,
    DIMENSIONS,
    LENGTHS,
    LONGEST,
    MOST,
    REQUIRED,
    STATUS,
    Clock,
)
from schemas.metric import MetricEvent
from schemas.scope import BUCKETS, reserved
from schemas.unbatch import LIMITS, SHORTEST

__all__ = ["faults"]

Rule = tuple[Reason, str]
Mask = npt.NDArray[np.bool_]
TEXTS = (  # in the order of the schema, like the next
    *DIMENSIONS[:4],
    "error_type",
    *DIMENSIONS[4:],
    "request_id",
    "trace_id",
    "unit_id",
    "region",
)
NUMBERS = (
    "latency_ms",
    "tokens_input",
    "tokens_output",
    "tokens_total",
    "cost_usd",
    "retry_count",
    "time_to_first_token_ms",
    "cached_tokens",
)
SOUND, UNTOLD = 0, -1


def faults(
    record: type, values: list[bytes], message: Ints, clock: Clock
) -> tuple[list[Rejected], Mask, Mask] | None:
    """The messages that can be told to be broken, and which ones those are.

    Args:
        record: MetricEvent or MetricBatch.
        values: The messages, frames included, written with our own schema of it.
        message: [n], the index of each.
        clock: What timestamps are checked against.

    Returns:
        What the way in Python would say of them, and which [n] they are: every batch that is
        broken, and of the events those that C can tell; then those [n] that it cannot tell of,
        which are for the slow way to read. None where there is no extension, or nothing is known
        of the record.
    """
    if native.core is None or record not in KINDS:
        return None
    found = np.empty((len(values), 3), np.int64)
    judge = native.core.event_faults if record is MetricEvent else native.core.batch_faults
    judge(values, KINDS[record](clock), found)
    broken = found[:, 0] > SOUND
    told = zip(message[broken].tolist(), *found[broken].T.tolist(), strict=True)
    rejected = [Rejected(name, *_said(record, *fault)) for name, *fault in told]
    return rejected, broken, found[:, 0] == UNTOLD


@lru_cache(1 << 16)
def _said(record: type, code: int, first: int, second: int) -> Rule:
    reason, detail = _rules(record)[code]
    return reason, detail.format(first, second)


@cache
def _rules(record: type) -> tuple[Rule, ...]:
    """What each code says."""
    ends, chooses, illegible = (
        (Reason.BROKEN_AVRO, BROKEN[each]) for each in (EOFError, IndexError, UnicodeDecodeError)
    )
    left_over = (Reason.BROKEN_AVRO, "{} bytes are left over")
    own = _of_events() if record is MetricEvent else _of_batches()
    return ((Reason.NULL_VALUE, "nothing"), ends, chooses, illegible, left_over, *own)


RESERVED = tuple((Reason.RESERVED_NAME, str(reserved(each))) for each in ("/", "*", "|"))
NO_STATUS = (Reason.OUT_OF_RANGE, f"status_code is not within {STATUS[0]} and {STATUS[1]}")
TIMES = (
    (Reason.TOO_OLD, "timestamp is before {}"),
    (Reason.IN_THE_FUTURE, "timestamp is after {}"),
)


def _of_events() -> tuple[Rule, ...]:
    return (
        *((Reason.EMPTY_NAME, f"{name} is empty") for name in REQUIRED),
        *(_too_long(name) for name in TEXTS),
        *((Reason.NOT_FINITE, f"{name} is not a finite number") for name in NUMBERS),
        *((Reason.NEGATIVE, f"{name} is negative") for name in NUMBERS),
        *((Reason.OUT_OF_RANGE, f"{name} is above {MOST[name]}") for name in NUMBERS),
        NO_STATUS,
        *TIMES,
        *RESERVED,
    )


def _too_long(name: str) -> Rule:
    return Reason.TOO_LONG, f"{name} has more than {LENGTHS.get(name, LONGEST)} characters"


def _of_batches() -> tuple[Rule, ...]:
    lengths = (f"{name} has {{}} bytes, not {{}} values of {kind}" for name, kind in PACKED.items())
    indexed = (f"{name} has an index above {{}}" for name in ("key", "error_type", "unit"))
    return (
        (Reason.BROKEN_BATCH, "n is {}"),
        *((Reason.BROKEN_BATCH, detail) for detail in lengths),
        (Reason.BROKEN_BATCH, "crc is not that of the columns"),
        (Reason.BROKEN_BATCH, "a key has {} parts"),
        *((Reason.EMPTY_NAME, f"{name} is empty") for name in DIMENSIONS),
        *(_too_long(name) for name in DIMENSIONS),
        *RESERVED,
        (Reason.EMPTY_NAME, "error_type is empty"),
        _too_long("error_type"),
        *((Reason.BROKEN_BATCH, detail) for detail in indexed),
        *((Reason.NEGATIVE, f"{name} is negative") for name in LIMITS),
        *((Reason.OUT_OF_RANGE, f"{name} is above {most}") for name, most in LIMITS.items()),
        NO_STATUS,
        *TIMES,
    )


def _limits_of_events(clock: Clock) -> Ints:
    """EventRules of native/faults.c."""
    lengths = [LENGTHS.get(name, LONGEST) for name in TEXTS]
    most = [MOST[name] for name in NUMBERS]
    return np.array([*lengths, *most, *STATUS, clock.now - clock.retention, clock.now + AHEAD])


def _limits_of_batches(clock: Clock) -> Ints:
    """BatchRules of native/batchfaults.c."""
    least = [SHORTEST.get(name, 0) for name in LIMITS]
    times = (clock.now - clock.retention, clock.now + AHEAD)
    longest = (LONGEST, LENGTHS["error_type"])
    ends = (*times, *longest, BUCKETS - 1, NO_UNIT)
    return np.array([*least, *LIMITS.values(), *STATUS, *ends], np.int64)


KINDS = {MetricEvent: _limits_of_events, MetricBatch: _limits_of_batches}
