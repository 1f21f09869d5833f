"""Entries of before, as they would be written now."""

from __future__ import annotations

import numpy as np

from processors.detect.layout import (
    HISTORY,
    JUDGED,
    LAYOUT,
    NEVER,
    SERIES,
    SLOTS,
    blank,
    closed,
    opened,
)
from processors.detect.state import Detector, Series
from schemas.anomaly import RANK
from schemas.window import MINUTE

FIRST = 1  # the layout before sums of several minutes
NEW = ("z", "sum", "rest")  # what it did not have
JUDGED_1 = np.dtype([(name, JUDGED[name]) for name in JUDGED.names or () if name not in NEW])
SERIES_1 = np.dtype(
    [(name, (JUDGED_1, SLOTS) if name == "judged" else SERIES[name]) for name in SERIES.names or ()]
)


def fitted(metrics: tuple[str, ...], detector: Detector) -> Detector:
    """*detector* with a row for each of the *metrics* that are watched, in their order.

    What an older entry knows of a metric is kept; where there was no ensemble that begins anew.
    Rows of an unknown layout begin anew as a whole.
    """
    if detector.metrics == metrics and detector.layout == LAYOUT and not detector.series:
        return detector
    packed = _first(detector.packed) if detector.layout == FIRST else detector.packed
    size, known = SERIES.itemsize, dict[str, bytes]()
    if detector.layout in (FIRST, LAYOUT):
        known = {
            metric: packed[at * size : (at + 1) * size]
            for at, metric in enumerate(detector.metrics)
        }
    older = {name: _packed(series) for name, series in detector.series.items()}
    return Detector(
        scope=detector.scope,
        newest=detector.newest,
        metrics=metrics,
        packed=b"".join(known.get(m) or older.get(m) or blank(1) for m in metrics),
        moves=detector.moves,
        incident=detector.incident,
        incident_end=detector.incident_end,
    )


def _first(packed: bytes) -> bytes:
    """Rows of the first layout, which kept no σ of single windows: none of them is in a sum."""
    before = np.frombuffer(packed, SERIES_1)
    rows = opened([blank(len(before))])
    for name in SERIES_1.names or ():
        if name != "judged":
            rows[name] = before[name]
    for name in JUDGED_1.names or ():
        rows["judged"][name] = before["judged"][name]
    return rows.tobytes()


def _packed(series: Series) -> bytes:
    rows = opened([blank(1)])
    row = rows[0]
    count = min(len(series.values), HISTORY)
    if count:
        row["past"][-count:] = series.values[-count:]
        row["weight"] = np.log(np.maximum(series.weights[-count:], 1)).mean()
    row["count"] = count
    if series.spoken_at is not None and series.spoken is not None:
        row["spoken"], row["rung"] = series.spoken_at // MINUTE, RANK[series.spoken]
    kept = series.judged[-SLOTS:]
    for slot, judged in zip(row["judged"][SLOTS - len(kept) :], kept, strict=True):
        slot["minute"], slot["center"] = judged.start // MINUTE, judged.past.median
        slot["spread"], slot["weight"] = judged.past.spread, judged.past.weight
        slot["samples"] = judged.past.samples
        slot["rung"] = NEVER if judged.severity is None else RANK[judged.severity]
    return closed(rows, 1)[0]
