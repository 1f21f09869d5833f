"""A batch of ingest events as arrays: what the hot path works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemas.errors import Reason
from schemas.partial import Key

Ints = npt.NDArray[np.int64]
NO_UNIT = 65_535
ABSENT = -1


@dataclass(frozen=True, slots=True)
class EventColumns:
    """n events in the order of their messages, validated.

    `message` [n] is the index of the event's message in the batch that was decoded (ascending; a
    MetricBatch gives many events of one message). `values` [n, len(METRICS)] are in the
    fixed-point units of schemas.partial.METRICS, ABSENT where the event has none.
    """

    message: Ints
    timestamp: Ints  # ms since the epoch
    key: Ints  # index into `keys`
    keys: tuple[Key, ...]
    values: Ints
    request: npt.NDArray[np.bool_]  # False for a quality score, which is not a request
    failed: npt.NDArray[np.bool_]  # status outside 2xx, or an error type
    timeout: npt.NDArray[np.bool_]
    retries: Ints
    error_type: Ints  # index into `error_types`, ABSENT for none
    error_types: tuple[str, ...]
    unit: Ints  # bucket of unit_id, else trace_id, else request_id (salt "unit"); NO_UNIT for none
    identity: npt.NDArray[np.uint64]  # [n] 64-bit hash of the event's (or its batch's) id; 0: none

    def __len__(self) -> int:
        """How many events."""
        return len(self.timestamp)


class Rejected(NamedTuple):
    """A message that will never be an event."""

    message: int  # index in the batch that was decoded
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a batch of messages was: events, and the messages that were none."""

    events: EventColumns
    rejected: tuple[Rejected, ...]
