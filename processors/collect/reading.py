"""What a task of `collect` is given: messages of one topic, as they came and as events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from processors.summary.table import Ints
from schemas.columns import Decoded

__all__ = ["Headers", "Read"]

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """m messages of one topic, ascending by offset; the raw ones are only looked at when needed."""

    topic: str
    offsets: Ints  # [m]
    decoded: Decoded
    values: Sequence[bytes | None]  # [m], like the next two
    keys: Sequence[bytes | None]
    headers: Sequence[Headers | None]
