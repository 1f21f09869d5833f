"""Batches from their Avro data, quicker than any datum: their keys come again and again."""

from __future__ import annotations

from typing import Any

from schemas.avrobytes import UnusualError, keys, long, piece, strings
from schemas.batch import COLUMNS

__all__ = ["quick"]


def quick(data: bytes, start: int) -> dict[str, Any] | None:
    """The plain values of the MetricBatch whose datum, in our own schema, is all of `data[start:]`.

    Returns:
        None: the datum is broken, or written in a way that nothing of ours writes.
    """
    found: dict[str, Any] = {}
    try:
        name, at = piece(data, start)
        found["producer_id"] = name.decode()
        for number in ("epoch", "seq", "n"):
            found[number], at = long(data, at)
        found["keys"], at = keys(data, at)
        found["error_types"], at = strings(data, at)
        for column in COLUMNS:
            found[column], at = piece(data, at)
        found["crc"], at = long(data, at)
    except (IndexError, UnicodeDecodeError, UnusualError):
        return None
    return found if at == len(data) else None
