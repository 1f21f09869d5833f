"""What is remembered of a series, as fixed bytes: the state and its changelog are the same."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from processors.detect.series import State
from processors.detect.series.features import MEMBERS, Sums
from processors.detect.series.novelty import Places

LAYOUT = 2  # what follows; of others see processors.detect.older
HISTORY = 60  # windows of the past
SLOTS = 15  # judgements that a revision may still change
PHASES = 96  # of a day
PLACES, LARGEST = 16, 12  # of each member of the ensemble
LINES = len(MEMBERS) - 1  # members that look at one number; the last looks at two
NEVER = -1  # of a minute or a rung: there was none

Rows = npt.NDArray[np.void]  # of SERIES
Bools = npt.NDArray[np.bool_]

JUDGED = np.dtype(
    [
        ("minute", "<i4"),  # of the window's start, since the epoch; NEVER: the slot is empty
        ("center", "<f4"),  # what was expected, on the metric's scale
        ("slack", "<f4"),  # on both sides of it: no deviation
        ("spread", "<f4"),
        ("weight", "<f4"),  # observations that were usual
        ("edge", "<f2"),  # σ from which the ensemble tells; 0 where it did not
        ("score", "<f2"),  # of the ensemble, where it told
        ("samples", "u1"),
        ("rung", "i1"),  # as told or held back; NEVER when nothing was
        ("by", "u1"),  # place in processors.detect.tell.DETECTORS
        ("z", "<f2"),  # σ; NaN where it is no evidence of what came with it
        ("sum", "<f2"),  # σ of this and some before it together, where they told
        ("rest", "<f2"),  # σ from which this one completes them; 0 where they did not tell
    ]
)
SERIES = np.dtype(
    [
        ("past", "<f4", HISTORY),  # on the metric's scale, newest last
        ("count", "<u2"),  # how many of them there are
        ("weight", "<f4"),  # mean logarithm of the observations behind a value
        ("usual", "<f2", PHASES),  # by how much values leave their past at this time of the day
        ("spoken", "<i4"),  # minute of the window that was last told or held back
        ("rung", "i1"),  # and how severe it was
        ("hushed", "u1"),  # it was held back
        ("judged", JUDGED, SLOTS),  # newest last
        ("sums", "<f8", 6),  # seen, origin, last and means of the ensemble
        ("lines", "<f4", (LINES, PLACES)),
        ("line_gaps", "<f4", (LINES, PLACES)),
        ("plane", "<f4", (2, PLACES)),
        ("plane_gaps", "<f4", PLACES),
        ("top", "<f4", (len(MEMBERS), LARGEST)),
        ("last_told", "<f4"),
        ("since", "<f4"),
    ]
)


@cache
def _blank() -> bytes:
    row = np.zeros(1, SERIES)
    row["spoken"] = row["rung"] = NEVER
    row["judged"]["minute"] = row["judged"]["rung"] = NEVER
    row["judged"]["z"] = np.nan
    row["lines"], row["plane"] = np.inf, np.inf
    row["lines"][..., 0], row["plane"][..., 0] = 0.0, 0.0
    row["line_gaps"], row["plane_gaps"] = -1.0, -1.0
    row["line_gaps"][..., 0], row["plane_gaps"][..., 0] = np.inf, np.inf
    row["since"] = np.inf
    return row.tobytes()


def blank(series: int) -> bytes:
    """Nothing seen yet of *series* series."""
    return _blank() * series


def opened(packed: Sequence[bytes]) -> Rows:
    """The rows of all series in *packed*, one behind the other; they may be changed."""
    return np.frombuffer(bytearray().join(packed), SERIES)


def closed(rows: Rows, size: int) -> list[bytes]:
    """The bytes of *rows*, those of *size* series together; the way back from `opened`."""
    whole, step = rows.tobytes(), size * SERIES.itemsize
    return [whole[at : at + step] for at in range(0, len(whole), step)]


def ensemble(rows: Rows) -> State:
    """What the ensemble remembers of N series."""
    n, sums = len(rows), rows["sums"].T.copy()
    at = np.empty((2, n, len(MEMBERS), PLACES), np.float32)
    gap = np.empty((n, len(MEMBERS), PLACES), np.float32)
    at[0, :, :LINES] = rows["lines"]
    # What looks at one number lies at 0 of the other, where it is at all.
    at[1, :, :LINES] = np.where(np.isinf(rows["lines"]), np.float32(np.inf), np.float32(0.0))
    at[:, :, LINES] = rows["plane"].transpose(1, 0, 2)
    gap[:, :LINES], gap[:, LINES] = rows["line_gaps"], rows["plane_gaps"]
    flat = (n * len(MEMBERS), PLACES)
    return State(
        Sums(sums[0], sums[1], sums[2], sums[3:]),
        Places(at.reshape(2, *flat), gap.reshape(flat)),
        rows["top"].reshape(-1, LARGEST),
        rows["last_told"].astype(np.float64),
        rows["since"].astype(np.float64),
    )


def put_ensemble(rows: Rows, state: State) -> None:
    """Write into *rows* what the ensemble remembers of them."""
    n = len(rows)
    rows["sums"][:, :3] = np.stack((state.sums.seen, state.sums.origin, state.sums.last), axis=1)
    rows["sums"][:, 3:] = state.sums.means.T
    at = state.places.at.reshape(2, n, len(MEMBERS), PLACES)
    gap = state.places.gap.reshape(n, len(MEMBERS), PLACES)
    rows["lines"], rows["plane"] = at[0, :, :LINES], at[:, :, LINES].transpose(1, 0, 2)
    rows["line_gaps"], rows["plane_gaps"] = gap[:, :LINES], gap[:, LINES]
    rows["top"] = state.top.reshape(n, len(MEMBERS), LARGEST)
    rows["last_told"], rows["since"] = state.told, state.since


def push(rows: Rows, name: str, values: npt.NDArray[Any]) -> None:
    """Put *values* [N] at the end of a field of *rows*, where the newest stands."""
    field = rows[name]
    field[:, :-1] = field[:, 1:].copy()
    field[:, -1] = values
