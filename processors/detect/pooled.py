"""Values of some minutes together, of which none is out by itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from processors.detect.layout import NEVER, Rows
from processors.detect.past import Floats, Ints, Scales, badness
from processors.detect.policy import DetectPolicy
from schemas.window import MINUTE


class Together(NamedTuple):
    """What N values make of the minutes before them; all [N], 0 where nothing is told."""

    sums: Floats  # σ on the bad side
    rest: Floats  # σ of the newest from which they would have been told


def together(policy: DetectPolicy, scale: Scales, rows: Rows, starts: Ints, z: Floats) -> Together:
    r"""Add up the last minutes, in spans of several lengths.

    Of m values z in σ the sum is judged by

        S = Σ z / (k·√(m + c·m²)), the largest of all spans,

    where c is the part of the variance that they share: what is usual is only known so well, and
    traffic has slow swings of its own; k is for the number of spans. A sum is told when it reaches
    the first rung, where the newest value is out by `heard` itself: what is over is not told.
    Values that were told by themselves are not added, nor those before what was told last: each is
    told once.

    The moving sum of a change of unknown length: Chu, Hornik & Kuan, Biometrika 82 (1995).

    Args:
        policy: The spans, c (`shared`) and k (`looks`).
        scale: Of N series.
        rows: Before the values are remembered.
        starts: [N], ms, of the values' windows.
        z: [N], signed σ; NaN where nothing is to be told of it.
    """
    now = (starts // MINUTE)[:, None]
    judged = rows["judged"]
    minutes, past = judged["minute"].astype(np.int64), judged["z"].astype(np.float64)
    told = rows["spoken"].astype(np.int64)[:, None]
    there = (minutes != NEVER) & (minutes > told) & ~np.isnan(past)
    past = np.where(there, np.clip(past, -policy.clip, policy.clip), 0.0)
    here, z = ~np.isnan(z), np.nan_to_num(z)
    newest = np.clip(z, -policy.clip, policy.clip)
    sums, rest = np.zeros(len(z)), np.full(len(z), np.inf)
    bad = np.maximum(badness(scale, z), 0.0)
    for span in policy.spans:
        some = there & (minutes > now - span)
        before, m = np.where(some, past, 0.0).sum(axis=1), some.sum(axis=1) + 1.0
        width = policy.looks * np.sqrt(m + policy.shared * m * m)
        sign = np.where(scale.sign == 0.0, np.sign(before + newest), scale.sign)
        sums = np.where(m >= policy.least, np.maximum(sums, sign * (before + newest) / width), sums)
        need = policy.rungs[0] * width - sign * before
        rest = np.where(m >= policy.least, np.minimum(rest, need), rest)
    rest = np.maximum(rest, policy.heard)
    out = here & (sums >= policy.rungs[0]) & (bad >= rest)
    return Together(np.where(out, sums, 0.0), np.where(out, rest, 0.0))
