"""Which messages of the tail were dead letters, one bit an offset.

Whether a message can be used depends on more than its bytes: on the clock, on the schemas that are
registered by then, on the version that reads it. What was refused was not counted. So it must not
be taken for seen when the tail is read again, or the same event, once it is sent again after a
repair, would be a repetition.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from processors.summary.table import Ints

__all__ = ["BLOCK", "Refused", "among", "changes", "noted"]

BLOCK = 1_024  # offsets of one entry
PREFIX = "refused|"

Refused = Mapping[str, bytes]  # name of a block -> its bits


def noted(refused: Refused, told: Mapping[str, Ints], tail: Mapping[str, int]) -> Refused:
    """The blocks with the refused messages of a batch, as far back as the *tail* goes.

    Args:
        refused: The blocks so far.
        told: Topic → the offsets of those that were refused now, if there were any.
        tail: Topic → the first offset that is ever read again.
    """
    if not (refused or told):
        return refused
    found = {name: bits for name, bits in refused.items() if _end(name) > tail.get(_topic(name), 0)}
    for topic, offsets in told.items():
        for block, name in _blocks(topic, offsets):
            bits = _bits(found.get(name))
            bits[offsets[offsets // BLOCK == block] % BLOCK] = True
            found[name] = np.packbits(bits).tobytes()
    return found


def among(refused: Refused, topic: str, offsets: Ints) -> npt.NDArray[np.bool_]:
    """Which messages, by their *offsets* [m] ascending, were dead letters."""
    found = np.zeros(len(offsets), dtype=np.bool_)
    if refused:
        for block, name in _blocks(topic, offsets):
            if name in refused:
                here = slice(*np.searchsorted(offsets, [block * BLOCK, (block + 1) * BLOCK]))
                found[here] = _bits(refused[name])[offsets[here] % BLOCK]
    return found


def changes(before: Refused, after: Refused) -> dict[str, bytes | None]:
    """The blocks that are other ones now; None for those that are gone."""
    gone: dict[str, bytes | None] = dict.fromkeys(sorted(before.keys() - after.keys()))
    return gone | {name: bits for name, bits in after.items() if bits != before.get(name)}


def _blocks(topic: str, offsets: Ints) -> Iterator[tuple[int, str]]:
    for block in np.unique(offsets // BLOCK).tolist():
        yield block, f"{PREFIX}{topic}|{block}"


def _bits(packed: bytes | None) -> npt.NDArray[np.bool_]:
    if packed is None:
        return np.zeros(BLOCK, dtype=np.bool_)
    return np.unpackbits(np.frombuffer(packed, np.uint8)).astype(np.bool_)


def _topic(name: str) -> str:
    return name.split("|")[1]


def _end(name: str) -> int:
    return (int(name.split("|")[2]) + 1) * BLOCK
