from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from processors.collect import Read
from schemas.columns import ABSENT, NO_UNIT, Decoded, EventColumns, Rejected
from schemas.errors import Reason
from schemas.partial import METRICS, Key

Row = tuple[int, int, int]  # message, timestamp, identity


def read(
    rows: Sequence[Row],
    *,
    messages: int | None = None,
    first: int = 0,
    topic: str = "llmopt.metrics.v1",
    keys: Sequence[Key] = (
        ("shop", "search", "m", "p", "", ""),
        ("shop", "chat", "m", "p", "", ""),
    ),
    rejected: Sequence[int] = (),
) -> Read:
    """A batch of *messages* from offset *first*; row i has key i modulo the number of keys."""
    n = len(rows)
    m = messages if messages is not None else max([row[0] + 1 for row in rows], default=0)
    values = np.full((n, len(METRICS)), ABSENT)
    values[:, 0] = 1_000 + np.arange(n)
    events = EventColumns(
        message=np.array([row[0] for row in rows], dtype=np.int64),
        timestamp=np.array([row[1] for row in rows], dtype=np.int64),
        key=np.arange(n) % len(keys),
        keys=tuple(keys),
        values=values,
        request=np.ones(n, dtype=np.bool_),
        failed=np.zeros(n, dtype=np.bool_),
        timeout=np.zeros(n, dtype=np.bool_),
        retries=np.zeros(n, dtype=np.int64),
        error_type=np.full(n, ABSENT),
        error_types=(),
        unit=np.full(n, NO_UNIT),
        identity=np.array([row[2] for row in rows], dtype=np.uint64),
    )
    return Read(
        topic=topic,
        offsets=first + np.arange(m),
        decoded=Decoded(
            events, tuple(Rejected(i, Reason.BROKEN_JSON, "not JSON") for i in rejected)
        ),
        values=[f"value {first + i}".encode() for i in range(m)],
        keys=[None if i % 2 else b"\xff key" for i in range(m)],
        headers=[(("own", b"1"),) for _ in range(m)],
    )


@pytest.fixture
def reading() -> Callable[..., Read]:
    return read
