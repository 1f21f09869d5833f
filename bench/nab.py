"""The Numenta Anomaly Benchmark's score, of one threshold for all files.

The rules are those of Lavin & Ahmad, "Evaluating real-time anomaly detection algorithms: the
Numenta anomaly benchmark", ICMLA 2015. Of the points of a labelled window from the threshold up the
earliest counts, the sooner the more; each one outside costs, the less the nearer it follows a
window; a missed window costs; the first 15 % (at most 750 points) count for nothing. 0 is a
detector that never speaks, 100 one that finds each window at its first point and is else silent.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
PROBATION, MOST = 0.15, 750
PUBLISHED = {
    "windowed Gaussian": 39.6,
    "Twitter": 47.1,
    "random cut forest": 51.7,
    "KNN-CAD": 58.0,
    "CAD-OSE": 69.9,
    "HTM": 70.1,
    "ARTime": 74.9,
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A series of the corpus and its windows, as first and last index."""

    name: str
    values: Floats
    windows: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """What a window found or missed, and a false alarm, are worth."""

    found: float
    missed: float
    false: float


def load(folder: Path) -> list[Labelled]:
    """The series that are in *folder*, by name."""
    windows = json.loads((folder / "labels" / "combined_windows.json").read_text("utf-8"))
    corpus = []
    for name in sorted(windows):
        file = folder / "data" / name
        if not file.exists():
            continue
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.reader(lines))[1:]
        times = [datetime.fromisoformat(row[0]) for row in rows]
        spans = [tuple(map(datetime.fromisoformat, window)) for window in windows[name]]
        inside = [[i for i, at in enumerate(times) if a <= at <= b] for a, b in spans]
        values = np.array([float(row[1]) for row in rows])
        corpus.append(Labelled(name, values, tuple((each[0], each[-1]) for each in inside)))
    return corpus


def profiles(folder: Path) -> dict[str, Profile]:
    """The profiles of the corpus."""
    told: Mapping[str, Mapping[str, Mapping[str, float]]] = json.loads(
        (folder / "profiles.json").read_text("utf-8")
    )
    return {
        name: Profile(costs["tpWeight"], costs["fnWeight"], costs["fpWeight"])
        for name, costs in ((name, each["CostMatrix"]) for name, each in told.items())
    }


def sigmoid(x: Floats) -> Floats:
    """From 1 long before the end of a window (x = −1 at its start) over 0 at it to −1."""
    return np.where(x > 3, -1.0, 2.0 / (1.0 + np.exp(np.minimum(5.0 * x, 50.0))) - 1.0)


def worth(series: Labelled) -> tuple[npt.NDArray[np.intp], Floats]:
    """Of each point the window that it is in (−1: none), and what an alarm there is worth."""
    size = series.values.size
    window, value = np.full(size, -1), np.full(size, -1.0)
    ends = [*(first for first, _ in series.windows[1:]), size]
    for at, ((first, last), end) in enumerate(zip(series.windows, ends, strict=False)):
        inside, after = np.arange(first, last + 1), np.arange(last + 1, end)
        window[inside] = at
        value[inside] = sigmoid(-(last - inside + 1) / (last - first + 1)) / sigmoid(np.array(-1.0))
        value[after] = sigmoid((after - last) / (last - first))
    return window, value


def gains(corpus: Sequence[Labelled], scores: Sequence[Floats], profile: Profile) -> Floats:
    """What is won or lost as the threshold falls: [points that matter, 2], score and difference."""
    found: list[Floats] = []
    for series, score in zip(corpus, scores, strict=True):
        window, value = worth(series)
        judged = np.arange(score.size) >= min(int(PROBATION * score.size), MOST)
        outside = judged & (window < 0)
        found.append(np.stack([score[outside], profile.false * value[outside]], 1))
        for at in range(len(series.windows)):
            inside = np.flatnonzero(judged & (window == at))
            inside = inside[np.argsort(-score[inside], kind="stable")]
            best = np.maximum.accumulate(np.r_[-profile.missed, profile.found * value[inside]])
            found.append(np.stack([score[inside], np.diff(best)], 1))
    return np.concatenate(found)


def score_at(
    corpus: Sequence[Labelled], scores: Sequence[Floats], profile: Profile, threshold: float
) -> float:
    """The score of the alarms from *threshold* up."""
    steps = gains(corpus, scores, profile)
    return _scaled(corpus, profile, float(steps[steps[:, 0] >= threshold, 1].sum()))


def best(
    corpus: Sequence[Labelled], scores: Sequence[Floats], profile: Profile
) -> tuple[float, float]:
    """The highest score that one threshold for all files reaches, and that threshold."""
    steps = gains(corpus, scores, profile)
    steps = steps[np.argsort(-steps[:, 0], kind="stable")]
    total = np.cumsum(steps[:, 1])
    total[:-1][steps[1:, 0] == steps[:-1, 0]] = -np.inf
    at = int(np.argmax(total))
    return _scaled(corpus, profile, float(total[at])), float(steps[at, 0])


def _scaled(corpus: Sequence[Labelled], profile: Profile, won: float) -> float:
    windows = sum(len(series.windows) for series in corpus)
    return 100.0 * won / (windows * (profile.found + profile.missed))
