"""What the time of the day leads one to expect, learnt from how values left their past before."""

from __future__ import annotations

import numpy as np

from processors.detect.layout import PHASES, Rows
from processors.detect.past import Floats, Ints

DAY = 86_400_000  # ms
NOISE = 0.5  # σ: what is usual is known no better
FURTHEST = 60_000.0  # what a float16 holds


def expect(rows: Rows, starts: Ints, spread: Floats) -> tuple[Floats, Floats]:
    """Between which distances from its past a value is usual now.

    What leaves its past at the same time every day leaves it a little earlier on some: the
    quarters of an hour before and after count, too. Where nothing recurs both ends are 0.

    Args:
        rows: Of N series.
        starts: [N], ms, of the windows.
        spread: [N], σ, of which half is taken off for what is chance.

    Returns:
        The lower and the upper end [N], on the metric's scale.
    """
    phases = (_phase(starts)[:, None] + np.arange(-1, 2)) % PHASES
    around = rows["usual"][np.arange(len(rows))[:, None], phases].astype(np.float64)
    sure = np.sign(around) * np.maximum(np.abs(around) - NOISE * spread[:, None], 0.0)
    return sure.min(axis=1), sure.max(axis=1)


def learn(rows: Rows, at: Ints, starts: Ints, away: Floats, rate: float) -> None:
    """Let the phases of windows follow how far their values are away from their past.

    Args:
        rows: Changed in place.
        at: [K], which of them.
        starts: [K], ms.
        away: [K], on the metric's scale.
        rate: How far a phase follows.
    """
    where = (at, _phase(starts))
    before = rows["usual"][where].astype(np.float64)
    rows["usual"][where] = np.clip(before + rate * (away - before), -FURTHEST, FURTHEST)


def _phase(starts: Ints) -> Ints:
    return starts % DAY * PHASES // DAY
