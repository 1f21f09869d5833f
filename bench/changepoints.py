"""How well are changes found that five people marked? One setting for every series.

F1 with a margin of 5 points, and cover, as van den Burg & Williams define them ("An evaluation of
change point detection algorithms", 2020): precision against what anybody marked, recall as the mean
over people, each with a change at 0; cover the mean over people of how well their segments are met.

Beside the figures: each series with the setting that is best on all others, and the worst of the
settings next to the one that stands.

python -m bench changepoints
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.line import Figure, report
from bench.traffic import DATA
from processors.analyze.change_points import Segmenting, changes

BENCH = "changepoints"
F1_BAR, COVER_BAR = 0.75, 0.70
MARGIN = 5  # points
KNOWN = {"no change": (0.67, 0.58), "binary segmentation": (0.74, 0.69)}  # F1, cover
GRID = [
    Segmenting(rarity=rarity, correlated=correlated)
    for rarity in (1.0, 1.5, 2.0, 2.5, 3.0)
    for correlated in (0.6, 0.7, 0.75, 0.8, 0.85)
]
NEAR = [each for each in GRID if 1.5 <= each.rarity <= 2.5 and 0.7 <= each.correlated <= 0.8]

Floats = npt.NDArray[np.float64]
Marks = Sequence[Sequence[int]]  # of each person


def matched(marked: Iterable[int], found: Iterable[int], margin: int = MARGIN) -> int:
    """How many of the marked changes have a found one of their own within the margin.

    >>> matched([10, 12], [11])
    1
    """
    free = set(found)
    count = 0
    for mark in sorted(marked):
        near = sorted((abs(mark - each), each) for each in free if abs(mark - each) <= margin)
        if near:
            free.remove(near[0][1])
            count += 1
    return count


def f1(people: Marks, found: Sequence[int]) -> float:
    """F1 of what was found against what each person marked.

    >>> f1([[], []], []), round(f1([[50], []], []), 3)
    (1.0, 0.857)
    """
    ours = {0, *found}
    theirs = [{0, *marks} for marks in people]
    precision = matched(set().union(*theirs), ours) / len(ours)
    recall = math.fsum(matched(marks, ours) / len(marks) for marks in theirs) / len(theirs)
    return 2 * precision * recall / (precision + recall)


def cover(people: Marks, found: Sequence[int], n: int) -> float:
    """How well the segments of each person are met: Σ |A| max Jaccard(A, ours) / n, their mean.

    >>> cover([[50]], [], 100), cover([[50]], [50], 100)
    (0.5, 1.0)
    """
    ours = segments(found, n)
    told = 0.0
    for marks in people:
        for a, b in segments(marks, n):
            told += (b - a) * max(
                max(0, min(b, d) - max(a, c)) / (max(b, d) - min(a, c)) for c, d in ours
            )
    return told / n / len(people)


def segments(changed: Sequence[int], n: int) -> list[tuple[int, int]]:
    """Begin and end of each part of n points."""
    return list(pairwise(sorted({0, *(each for each in changed if 0 < each < n), n})))


def load(folder: Path) -> dict[str, tuple[Floats, Marks]]:
    """Each series [d, n], what is missing filled in on a line, and what people marked in it."""
    marked = json.loads((folder / "annotations.json").read_text())
    found: dict[str, tuple[Floats, Marks]] = {}
    for file in sorted((folder / "series").glob("*.json")):
        read = json.loads(file.read_text())
        if read["name"] in marked:
            rows = [np.array(each["raw"], dtype=np.float64) for each in read["series"]]
            people = list(marked[read["name"]].values())
            found[read["name"]] = (np.array([_filled(row) for row in rows]), people)
    return found


def _filled(row: Floats) -> Floats:
    there = np.isfinite(row)
    at = np.arange(row.size)
    filled: Floats = np.interp(at, at[there], row[there])
    return filled


def scores(series: Floats, people: Marks, policy: Segmenting) -> tuple[float, float]:
    """F1 and cover of one series."""
    found = [each.index for each in changes(series, policy)]
    return f1(people, found), cover(people, found, series.shape[1])


def left_out(table: Floats) -> tuple[float, float]:
    """F1 and cover when each series [settings, series, 2] has the setting best on the others."""
    told = []
    for i in range(table.shape[1]):
        others = np.delete(table, i, axis=1).mean(axis=1).sum(axis=1)
        told.append(table[int(np.argmax(others)), i])
    f, c = np.mean(told, axis=0).tolist()
    return f, c


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=DATA / "changepoints")
    folder = parser.parse_args().data
    if not folder.exists():
        report(BENCH, math.nan, "F1", bar=F1_BAR, at=">=", why=f"{folder} is not here")
    known = load(folder)
    begun = time.process_time()
    each = {name: scores(x, people, Segmenting()) for name, (x, people) in known.items()}
    seconds = time.process_time() - begun
    points = sum(x.shape[1] for x, _ in known.values())
    f, c = np.mean(list(each.values()), axis=0).tolist()
    grid = np.array([[scores(*known[name], policy) for name in known] for policy in GRID])
    near = grid[[GRID.index(policy) for policy in NEAR]].mean(axis=1)
    apart = left_out(grid)
    nothing = np.mean([(f1(p, []), cover(p, [], x.shape[1])) for x, p in known.values()], axis=0)
    more: Mapping[str, Any] = {
        "left_one_out": _rounded(apart),
        "worst_nearby": _rounded(near.min(axis=0).tolist()),
        "no_change_here": _rounded(nothing.tolist()),
        "known": KNOWN,
        "series": {name: _rounded(pair) for name, pair in each.items()},
        "us_per_point": round(seconds / points * 1e6, 1),
    }
    report(
        BENCH,
        round(f, 4),
        f"F1 of {len(known)} series",
        bar=F1_BAR,
        at=">=",
        also=[
            Figure(what="cover", value=round(c, 4), unit="of 1", bar=COVER_BAR, at=">="),
            Figure(
                what="F1, each series by the setting of the others",
                value=round(apart[0], 4),
                unit="of 1",
                bar=F1_BAR,
                at=">=",
            ),
        ],
        vs={name: round(f / known_f1, 3) for name, (known_f1, _) in KNOWN.items()},
        **more,
    )


def _rounded(pair: Sequence[float]) -> list[float]:
    return [round(value, 3) for value in pair]


if __name__ == "__main__":
    main()
